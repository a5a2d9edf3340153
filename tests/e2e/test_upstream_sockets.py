"""Callers of every route whose calls travel over sockets, and notice nothing of it."""

import hashlib
import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import talking
from tests.e2e.asking import chat, failing_once, hear, prompt, question
from tests.e2e.programs import Gateway, Pair, Starter, until

CODEX = "/backend-api/codex/responses"
PUBLIC = "/v1/responses"
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def riding(starter: Starter) -> Iterator[Pair]:
    """A pair whose gateway takes sockets wherever it can."""
    generator = starter.pair(accounts=16, limits={"retries_min": 1_000_000})
    running = next(generator)
    ride(running.gateway)
    yield running
    next(generator, None)


@pytest.fixture
def pair(riding: Pair) -> Iterator[Pair]:
    """That pair, watched during one test."""
    riding.simulator.mark()
    yield riding
    riding.simulator.quiet()
    assert riding.simulator.violations == []


def ride(gateway: Gateway) -> None:
    """Choose sockets, and wait until the gateway has heard of it."""
    gateway.command("settings", "set", "upstream_transport=websocket")

    def rides() -> bool:
        hear(gateway.client, CODEX, question(prompt("echo: are we there?")))
        return turns(gateway) > 0

    until(rides, "calls travel over sockets")


def asked(pair: Pair, count: int) -> list[dict[str, Any]]:
    """Return the records of turns once there are so many; a socket's own is none."""

    def found() -> list[dict[str, Any]] | None:
        records = [r for r in pair.simulator.records if r["transport"] != "ws" or "." in r["id"]]
        return records if len(records) >= count else None

    records = until(found, f"{count} turns")
    assert len(records) == count
    return records


def turns(gateway: Gateway) -> float:
    """Return how many turns were made on sockets."""
    found = gateway.metrics()
    return sum(v for name, v in found.items() if name.startswith("codex2api_websocket_turns_total"))


def test_codex_clients_get_the_upstreams_own_data(pair) -> None:
    """Each event's data is the message that was sent, private ones too."""
    heard = hear(pair.gateway.client, CODEX, question(prompt(deltas=12)))
    [record] = asked(pair, 1)
    assert record["transport"] == "ws"
    said = "".join(heard.payloads).encode()
    assert hashlib.sha256(said).hexdigest() == record["body_sha256"]
    assert all(f"event: {kind}\n".encode() in heard.raw for kind in heard.types)


@pytest.mark.parametrize("path", [PUBLIC, CHAT])
@pytest.mark.parametrize("stream", [True, False])
def test_every_route_rides(pair, path, stream) -> None:
    """Streamed or whole, translated or not."""
    make = chat if path == CHAT else question
    body = make(prompt("echo: over a socket"), stream=stream)
    if stream:
        assert hear(pair.gateway.client, path, body).text.startswith("over a socket")
    else:
        answer = pair.gateway.client.post(path, json=body)
        assert "over a socket" in answer.text
        assert answer.status_code == 200
    [record] = asked(pair, 1)
    assert (record["transport"], record["status"]) == ("ws", 200)


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "429_usage_limit"},
        {"fault": "429_usage_limit", "ws_error_shape": "flat"},
        {"fault": "503_overloaded", "ws_error_shape": "no_status"},
        {"fault": "503_overloaded", "ws_error_shape": "body"},
        {"fault": "500"},
        {"ws_close_after_events": 4, "ws_close_code": 1011},
        {"ws_close_after_events": 4, "ws_close_code": 1000},
        {"ws_close_after_events": 3, "ws_close_code": 1006},
        {"ws_close_after_events": 3, "ws_close_code": 1008},
        {"break_before_head": "rst"},
        {"terminal": "failed:server_is_overloaded", "terminal_at": "prelude"},
        {"terminal": "error_failed:slow_down", "terminal_at": "prelude"},
    ],
    ids=str,
)
def test_what_fails_before_content_is_not_seen(pair, fault) -> None:
    """Another account, another socket, or HTTP takes the call."""
    heard = hear(pair.gateway.client, PUBLIC, question(failing_once(fault)))
    assert heard.text.startswith("here we are")
    assert heard.types[-1] == "response.completed"
    pair.gateway.settled()


@pytest.mark.parametrize("code", [1000, 1006, 1011, 1012])
def test_a_socket_that_closes_within_content_ends_the_stream_with_an_error(pair, code) -> None:
    """Never by just stopping."""
    text = prompt(deltas=30, ws_close_after_events=15, ws_close_code=code)
    heard = hear(pair.gateway.client, PUBLIC, question(text))
    assert heard.types[-1] == "response.failed"
    assert heard.events[-1]["response"]["error"]["code"] == "stream_incomplete"


def test_an_error_within_content_is_passed_on_as_it_came(pair) -> None:
    """It is the upstream's word."""
    text = prompt(deltas=3, terminal="error_failed:server_error", terminal_at="end")
    heard = hear(pair.gateway.client, CODEX, question(text))
    assert heard.types[-2:] == ["error", "response.failed"]


def test_a_turn_keeps_its_state_and_its_metadata(pair) -> None:
    """What belongs to a turn travels in its message, and only to the account that gave it."""
    headers = {"session-id": "s-1", "originator": "codex_cli_rs", "user-agent": "codex_cli_rs/1"}
    first = hear(pair.gateway.client, CODEX, question(prompt("echo: one")), headers=headers)
    state = first.headers["x-codex-turn-state"]
    again = hear(
        pair.gateway.client,
        CODEX,
        question(prompt("echo: two")),
        headers={**headers, "x-codex-turn-state": state, "x-codex-turn-metadata": '{"a":1}'},
    )
    assert again.text.startswith("two")
    asked(pair, 2)


def test_where_there_are_no_sockets_http_carries_everything(start) -> None:
    """A 426 is no failure of a call, nor of an account."""
    pair = start(accounts=2, knobs={"ws_status": 426})
    pair.gateway.command("settings", "set", "upstream_transport=websocket")
    until(lambda: _fallbacks(pair, "no_sockets"), "a handshake was refused")
    heard = hear(pair.gateway.client, PUBLIC, question(prompt("echo: by HTTP")))
    assert heard.text.startswith("by HTTP")
    assert pair.gateway.metrics()['codex2api_accounts{health="ready"}'] == 2


def _fallbacks(pair: Pair, reason: str) -> float:
    heard = hear(pair.gateway.client, PUBLIC, question(prompt("echo: hello")))
    assert heard.text.startswith("hello")
    name = f'codex2api_websocket_fallbacks_total{{reason="{reason}"}}'
    return pair.gateway.metrics().get(name, 0.0)


def test_a_drain_ends_with_no_socket_left(start) -> None:
    """The upstream sees each of them close."""
    pair = start(accounts=2)
    ride(pair.gateway)
    for _ in range(3):
        hear(pair.gateway.client, PUBLIC, question(prompt("echo: hello")))
    assert pair.simulator.see("state")["sockets_open"] > 0
    pair.gateway.signal(signal.SIGINT)
    pair.gateway.wait()
    until(lambda: pair.simulator.see("state")["sockets_open"] == 0, "all sockets are closed")
    assert json.dumps(pair.simulator.violations) == "[]"


async def test_a_caller_on_a_socket_sends_only_what_is_new(pair) -> None:
    """Its turns ride one upstream socket, which holds what was said before; nothing else does."""
    long = "and so on " * 2_000
    async with talking.connect(pair.gateway) as socket:
        previous = None
        for number in range(4):
            more = {"previous_response_id": previous} if previous else {}
            said = f"echo: turn {number} " + (long if not number else "")
            events = await talking.ask(socket, said, store=False, **more)
            assert talking.text_of(events).startswith(f"turn {number}")
            previous = events[-1]["response"]["id"]
    records = asked(pair, 4)
    assert len({record["id"].partition(".")[0] for record in records}) == 1
    assert records[0]["request_bytes"] > len(long)
    assert all(record["request_bytes"] < 2_000 for record in records[1:])


async def test_where_there_are_no_sockets_a_conversation_goes_on_by_http(start) -> None:
    """With all that was said before: nobody there holds it."""
    pair = start(accounts=1, knobs={"ws_status": 426})
    async with talking.connect(pair.gateway) as socket:
        first = await talking.ask(socket, "echo: one", store=False)
        more = {"previous_response_id": first[-1]["response"]["id"], "store": False}
        second = await talking.ask(socket, "echo: two", **more)
        assert talking.text_of(second).startswith("two")
    records = [record for record in pair.simulator.records if record["transport"] == "http"]
    assert len(records) == 2
    assert records[1]["request_bytes"] > records[0]["request_bytes"] + 100


async def test_a_conversation_survives_the_loss_of_its_socket(pair) -> None:
    """All of it is sent again on another one, unseen by the caller."""
    async with talking.connect(pair.gateway) as socket:
        closing = prompt("echo: one", ws_close_after_terminal=1012)
        first = await talking.ask(socket, closing, store=False)
        more = {"previous_response_id": first[-1]["response"]["id"], "store": False}
        second = await talking.ask(socket, "echo: two", **more)
        assert talking.text_of(second).startswith("two")
    records = asked(pair, 2)
    assert records[1]["request_bytes"] > records[0]["request_bytes"]
