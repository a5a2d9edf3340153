"""Responses over WebSocket, against the real server: turns, errors, close codes, limits."""

import asyncio
import json

import pytest
import websockets

from tests.e2e.asking import prompt
from tests.e2e.programs import MODEL, OTHER_API_KEY, Pair, until
from tests.e2e.talking import (
    BINARY,
    CODEX,
    CONTINUED,
    PING,
    PONG,
    PUBLIC,
    TEXT,
    Wire,
    ask,
    closed,
    connect,
    create,
    framed,
    hear,
    text_of,
)

PATHS = [PUBLIC, "/responses", CODEX]
LIMITED = {"fault": "429_usage_limit"}


def code_of(events) -> str:
    """Return the code of the one error that was said."""
    [error] = [event for event in events if event["type"] == "error"]
    assert error.keys() == {"type", "status", "error", "headers"}
    assert error["headers"]["x-request-id"]
    return error["error"]["code"]


@pytest.mark.parametrize("path", PATHS)
async def test_turns_follow_one_another(gateway, simulator, path) -> None:
    """A warm-up, and two turns that say only what is new; the upstream hears all of it."""
    async with connect(gateway, path) as socket:
        first = await ask(socket, "echo: one", generate=False)
        assert [event["type"] for event in first] == ["response.created", "response.completed"]
        name = first[-1]["response"]["id"]
        second = await ask(socket, "echo: two", previous_response_id=name, store=False)
        assert text_of(second) == "two"
        assert ("codex.rate_limits" in {e["type"] for e in second}) == (path == CODEX)
        name = second[-1]["response"]["id"]
        third = await ask(socket, "echo: three", previous_response_id=name, store=False)
        assert text_of(third) == "three"
    records = simulator.wait_for_records(2)
    assert [record["terminal"] for record in records] == ["completed"] * 2
    assert len({record["account"] for record in records}) == 1
    gateway.settled()


async def test_a_second_request_waits_for_the_first(gateway, simulator) -> None:
    """Its answer follows, whole, when the first is over."""
    async with connect(gateway) as socket:
        for word in ("one", "two", "three"):
            await socket.send(create(prompt(f"echo: {word}", deltas=3)))
        answers = [await hear(socket) for _ in range(3)]
    assert [event["type"] for events in answers for event in events[-1:]] == [
        "response.completed"
    ] * 3
    assert [events[0]["response"]["id"] for events in answers] == [
        events[-1]["response"]["id"] for events in answers
    ]
    simulator.wait_for_records(3)


async def test_an_account_that_fails_is_not_noticed(gateway, simulator) -> None:
    """Nothing has been said yet, so another one answers."""
    async with connect(gateway) as socket:
        events = await ask(socket, prompt("echo: here we are", attempts=[LIMITED, {}]))
    assert text_of(events).startswith("here we are")
    assert [record["status"] for record in simulator.wait_for_records(2)] == [429, 200]


async def test_a_stream_that_breaks_says_so_and_closes(gateway, simulator) -> None:
    """An error message, and the code that says to come back."""
    async with connect(gateway) as socket:
        await socket.send(create(prompt(deltas=9, cut_after_events=8, cut_mode="rst")))
        code, events = await closed(socket)
    assert (code, code_of(events), events[-1]["status"]) == (1011, "stream_incomplete", 502)
    simulator.wait_for_records(1)


BAD = [
    ("{", 1008, "invalid_request"),
    ("[]", 1008, "invalid_request"),
    ('"hello"', 1008, "invalid_request"),
    (json.dumps({"type": "response.append", "input": []}), 1008, "invalid_request"),
    (json.dumps({"type": "response.create", "input": "x"}), 1008, "invalid_request"),
    (create(model="no-such-model"), 1008, "model_not_found"),
    (create(previous_response_id="msg_1"), 1008, "invalid_request"),
    (create(stream_id="a"), 1008, "invalid_request"),
    (create(background=True), 1008, "invalid_request"),
    (b"{}", 1003, "invalid_request"),
    (create("x" * (17 << 20)), None, None),
    ([create("y" * (10 << 20))[:-1], " " * (9 << 20), "}"], 1009, "payload_too_large"),
]


@pytest.mark.parametrize(("message", "code", "said"), BAD)
@pytest.mark.parametrize("running", [False, True])
async def test_what_is_wrong_is_said_and_closes(
    gateway, simulator, message, code, said, running
) -> None:
    """Also in the middle of a turn; no account is touched for it.

    A frame over 16 MiB is refused by the server in front, which has no word for it.
    """
    async with connect(gateway) as socket:
        if running and not _is_request(message):
            await socket.send(create(prompt(deltas=100_000, events_per_s=20)))
            await asyncio.wait_for(socket.recv(), 15)
        try:
            await socket.send(message)
        except websockets.ConnectionClosed:
            assert code is None
        found, events = await closed(socket)
    if code is None:
        assert found in (None, 1005)
    else:
        assert (found, code_of(events)) == (code, said)
    until(lambda: simulator.see("state")["in_flight"] == 0, "the upstream's turn is over")
    gateway.settled()


def _is_request(message) -> bool:
    """Tell whether it would only wait while a turn runs."""
    try:
        return json.loads(message).get("type") == "response.create"
    except (ValueError, TypeError, AttributeError):
        return False


async def test_too_many_turns_at_a_time_are_refused(gateway, simulator) -> None:
    """The one that runs ends with the error."""
    async with connect(gateway) as socket:
        for _ in range(6):
            await socket.send(create(prompt(deltas=100_000, events_per_s=20)))
        code, events = await closed(socket)
    assert (code, code_of(events)) == (1008, "rate_limit_exceeded")
    simulator.quiet()


@pytest.mark.parametrize(("path", "status", "said"), [
    (PUBLIC, 409, "response_context_unavailable"),
    (CODEX, 400, "previous_response_not_found"),
])  # fmt: skip
async def test_a_context_that_is_gone_can_be_mended(gateway, simulator, path, status, said) -> None:
    """The connection stays, so that the whole conversation can be sent on it."""
    async with connect(gateway, path) as socket:
        events = await ask(socket, "echo: x", previous_response_id="resp_of_somebody")
        assert (code_of(events), events[-1]["status"]) == (said, status)
        assert text_of(await ask(socket, "echo: again")) == "again"
    simulator.wait_for_records(1)


async def test_nobody_goes_on_from_what_another_key_was_told(gateway, simulator) -> None:
    """Whatever it has heard of it; nor does another connection where it was not to be stored."""
    async with connect(gateway) as mine, connect(gateway, key=OTHER_API_KEY) as other:
        name = (await ask(mine, "echo: secret"))[-1]["response"]["id"]
        assert code_of(await ask(other, "echo: x", previous_response_id=name))
        private = (await ask(mine, "echo: secret", store=False))[-1]["response"]["id"]
        async with connect(gateway) as again:
            assert code_of(await ask(again, "echo: x", previous_response_id=private))
            assert text_of(await ask(again, "echo: y", previous_response_id=name)) == "y"
    simulator.wait_for_records(3)


async def test_a_caller_that_leaves_ends_its_turn(gateway, simulator) -> None:
    """The upstream's work ends with it."""
    async with connect(gateway) as socket:
        await socket.send(create(prompt(deltas=100_000, events_per_s=20)))
        await asyncio.wait_for(socket.recv(), 15)
    [record] = simulator.wait_for_records(1)
    assert record["client_disconnected"]
    gateway.settled()


@pytest.mark.parametrize(("headers", "status"), [
    ({}, 401),
    ({"authorization": "Bearer sk-wrong"}, 401),
])  # fmt: skip
async def test_who_may_not_come_in_is_told_over_http(gateway, headers, status) -> None:
    """In OpenAI's shape."""
    url = f"ws://127.0.0.1:{gateway.port}{PUBLIC}"
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(url, additional_headers=headers, proxy=None)
    answer = refused.value.response
    assert answer.status_code == status
    assert json.loads(answer.body)["error"]["code"] == "invalid_api_key"
    assert answer.headers["x-codex2api-reason"] == "invalid_api_key"


async def test_a_key_may_stand_in_the_subprotocol(gateway, simulator) -> None:
    """As browsers have to send it."""
    names = ["realtime", f"openai-insecure-api-key.{OTHER_API_KEY}"]
    url = f"ws://127.0.0.1:{gateway.port}{PUBLIC}"
    async with websockets.connect(url, subprotocols=names, proxy=None) as socket:
        assert socket.subprotocol == "realtime"
        assert text_of(await ask(socket, "echo: hello")) == "hello"
    simulator.wait_for_records(1)


@pytest.mark.parametrize("missing", ["Sec-WebSocket-Key", "Sec-WebSocket-Version"])
async def test_half_a_handshake_opens_nothing(gateway, missing) -> None:
    """No connection comes of it, and no call."""
    lines = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
    del lines[missing]
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", **lines}
    answer = gateway.client.get(PUBLIC, headers=headers)
    assert 400 <= answer.status_code < 500


async def test_fragments_make_a_message(gateway, simulator) -> None:
    """A byte at a time, with a ping in between."""
    wire = await Wire.open(gateway)
    message = create("echo: in pieces").encode()
    wire.frame(TEXT, message[:1], final=False)
    for at in range(1, len(message) - 1):
        wire.frame(CONTINUED, message[at : at + 1], final=False)
        if at == 9:
            wire.frame(PING, b"still there?")
    wire.frame(CONTINUED, message[-1:])
    assert await wire.until(PONG) == b"still there?"
    while b"response.completed" not in await wire.until(TEXT):
        pass
    wire.drop()
    simulator.wait_for_records(1)


@pytest.mark.parametrize(("opcode", "payload", "first"), [
    (TEXT, b"\xff\xfe", 0),
    (TEXT, b"{}", 0x40),
    (CONTINUED, b"{}", 0),
    (3, b"{}", 0),
    (PING, b"x" * 126, 0),
])  # fmt: skip
async def test_a_frame_that_is_none_ends_the_connection(gateway, opcode, payload, first) -> None:
    """Bad UTF-8, reserved bits, a continuation of nothing, an unknown kind, a long ping."""
    wire = await Wire.open(gateway)
    wire.frame(opcode, payload, first=first)
    assert await wire.end() in (None, 1002, 1005, 1007)
    wire.drop()
    gateway.settled()


async def test_text_after_a_close_is_not_heard(gateway, simulator) -> None:
    """The caller has said its last word."""
    wire = await Wire.open(gateway)
    wire.frame(8, b"\x03\xe8")
    wire.frame(TEXT, create("echo: too late").encode())
    assert await wire.end() in (None, 1000)
    wire.drop()
    gateway.settled()
    assert simulator.records == []


async def test_text_after_our_close_is_not_heard(gateway, simulator) -> None:
    """Nor is what comes after a violation."""
    wire = await Wire.open(gateway)
    # In one write: what came after the close would answer it with a reset, before it can be read.
    wire.writer.write(framed(BINARY, b"x") + 50 * framed(TEXT, create("echo: too late").encode()))
    assert await wire.end() == 1003
    wire.drop()
    gateway.settled()
    assert simulator.records == []


async def test_a_flood_of_pings_costs_others_nothing(gateway, simulator) -> None:
    """They are answered by the server in front, as far as the peer takes its answers."""
    wire = await Wire.open(gateway)
    for _ in range(20_000):
        wire.frame(PING, b"x" * 100)
    async with connect(gateway) as socket:
        assert text_of(await ask(socket, "echo: hello")) == "hello"
    assert await wire.until(PONG) == b"x" * 100
    wire.drop()
    simulator.wait_for_records(1)


async def test_a_flood_of_messages_is_ended(gateway, simulator) -> None:
    """So many a second, whatever they say."""
    wire = await Wire.open(gateway)
    for _ in range(1_000):
        wire.frame(TEXT, b'{"type":"response.processed"}')
    assert b"rate_limit_exceeded" in await wire.until(TEXT)
    assert await wire.end() == 1008
    wire.drop()
    assert simulator.records == []


async def test_a_thousand_idle_connections_are_no_load(start) -> None:
    """They are counted, others are answered meanwhile, and all of them are gone in the end."""
    pair: Pair = start()
    gateway = pair.gateway
    sockets = await asyncio.gather(*(connect(gateway) for _ in range(1_000)))
    idle = 'codex2api_websockets{state="idle"}'
    assert gateway.metrics()[idle] == 1_000
    assert text_of(await ask(sockets[500], "echo: hello")) == "hello"
    await asyncio.gather(*(socket.close() for socket in sockets))
    until(lambda: gateway.metrics()[idle] == 0, "no connection is left")
    pair.simulator.wait_for_records(1)


QUICK = {
    "socket_first_message_s": 1.0,
    "socket_idle_s": 2.0,
    "socket_life_s": 4.0,
    "send_timeout_s": 1.0,
    "keepalive_s": 0.5,
}


async def test_time_ends_connections(start) -> None:
    """Without a first message, without a next one, and when a connection is too old."""
    pair: Pair = start(limits=QUICK)
    gateway, simulator = pair.gateway, pair.simulator
    async with connect(gateway) as silent, connect(gateway) as idle, connect(gateway) as old:
        assert text_of(await ask(idle, "echo: hello")) == "hello"
        await old.send(create(prompt(deltas=100, events_per_s=20)))
        code, events = await closed(silent)
        assert (code, code_of(events)) == (1008, "request_timeout")
        assert await closed(idle) == (1000, [])
        code, events = await closed(old)
        assert code == 1001
        assert [each["type"] for each in events[-2:]] == ["response.completed", "error"]
        assert code_of(events) == "websocket_connection_limit_reached"
    simulator.wait_for_records(2)


async def test_a_caller_that_never_reads_is_left(start) -> None:
    """After the send timeout its turn ends, and the upstream's work with it."""
    pair: Pair = start(limits=QUICK)
    wire = await Wire.open(pair.gateway)
    wire.writer.transport.pause_reading()
    wire.frame(TEXT, create(prompt(deltas=100_000, delta_chars=4_000)).encode())
    [record] = pair.simulator.wait_for_records(1)
    assert record["client_disconnected"]
    until(lambda: pair.gateway.metrics()['codex2api_websockets{state="busy"}'] == 0, "none is busy")
    pair.gateway.settled()
    wire.drop()


async def test_a_request_says_which_model(gateway, simulator) -> None:
    """As over HTTP: a missing one is named."""
    async with connect(gateway) as socket:
        await socket.send(json.dumps({"type": "response.create", "input": "x"}))
        _, [error] = await closed(socket)
    assert (error["error"]["param"], MODEL in str(error)) == ("model", False)
    assert simulator.records == []
