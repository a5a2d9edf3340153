"""What the upstream says is what the caller hears: the same bytes, at the same time."""

import hashlib
import json
from collections.abc import Callable

import pytest

from tests.e2e.asking import hear, payloads, prompt, question
from tests.e2e.programs import Pair

CODEX = "/backend-api/codex/responses"
PUBLIC = "/v1/responses"
PRELUDE_EVENTS = 5
"""`created`, `in_progress`, `output_item.added`, `content_part.added` and the first delta."""
FORMS = {
    "as it comes": {},
    "one byte at a time": {"chunking": "byte"},
    "at random": {"chunking": "random"},
    "inside characters": {"chunking": "utf8"},
    "between CR and LF": {"chunking": "crlf", "eol": "CRLF"},
    "around the colon": {"chunking": "field"},
    "line by line": {"chunking": "line"},
    "several events a write": {"coalesce_events": 5},
    "all in one write": {"burst": True},
    "CR": {"eol": "CR"},
    "CR in bytes": {"eol": "CR", "chunking": "byte"},
    "CRLF": {"eol": "CRLF"},
    "CRLF in bytes": {"eol": "CRLF", "chunking": "byte"},
    "no event lines": {"event_line": False},
    "data over several lines": {"multi_line_data": True},
    "id and retry fields": {"id_retry_fields": True},
    "a byte order mark": {"byte_order_mark": True},
    "line separators inside the text": {"u2028_in_text": True, "nul_in_text": True},
    "comments in between": {"comments_every_ms": 5, "ttft_ms": 60, "events_per_s": 100},
    "unknown events": {"unknown_events": 3},
    "the whole text again at its end": {"snapshot_in_done": True},
    "a huge event": {"huge_event_bytes": 3 << 20},
    "a broken event": {"malformed_json_event": 7},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_codex_clients_get_the_upstreams_own_bytes(gateway, simulator, form) -> None:
    """The hash of what was sent is the hash of what was heard, however it was cut up."""
    heard = hear(gateway.client, CODEX, question(prompt(deltas=12, **form)))
    [record] = simulator.wait_for_records(1)
    assert (heard.status, record["status"]) == (200, 200)
    assert heard.sha256 == record["body_sha256"], heard.raw[-300:]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_public_callers_get_them_too_if_nothing_must_change(gateway, simulator, form) -> None:
    """Without private events and with a full output there is nothing to change on /v1."""
    plain = {"private_events": False, "empty_completed_output": False}
    heard = hear(gateway.client, PUBLIC, question(prompt(deltas=12, **plain, **form)))
    [record] = simulator.wait_for_records(1)
    assert heard.sha256 == record["body_sha256"], heard.raw[-300:]


def test_a_missing_blank_line_at_the_end_is_added(gateway, simulator) -> None:
    """Without it the callers' parsers would drop the terminal event."""
    heard = hear(gateway.client, CODEX, question(prompt(final_blank_line=False)))
    [record] = simulator.wait_for_records(1)
    assert hashlib.sha256(heard.raw[:-1]).hexdigest() == record["body_sha256"]
    assert heard.raw.endswith(b"}\n\n")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_an_encoding_that_nobody_asked_for_is_no_stream(gateway, encoding) -> None:
    """No compression is asked for, so a compressed reply is a failed attempt, never passed on."""
    answer = gateway.client.post(CODEX, json=question(prompt(encoding=encoding)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")


def test_on_the_public_route_private_events_are_missing_and_the_output_is_full(gateway) -> None:
    """Everything else is there, in order, and the terminal event has what was streamed."""
    text = prompt("echo: Grüße aus Bergen")
    codex = hear(gateway.client, CODEX, question(text))
    public = hear(gateway.client, PUBLIC, question(text))
    assert [kind for kind in codex.types if kind.startswith("codex.")]
    assert public.types == [kind for kind in codex.types if not kind.startswith("codex.")]
    [message] = public.events[-1]["response"]["output"]
    assert "Grüße aus Bergen" in message["content"][0]["text"]
    assert codex.events[-1]["response"]["output"] == []


@pytest.fixture
def prompt_pair(start: Callable[..., Pair]) -> Pair:
    """A pair whose head goes out soon, although the prelude is still held back."""
    return start(limits={"commit_after_s": 0.1})


@pytest.mark.parametrize("path", [CODEX, PUBLIC])
def test_each_event_arrives_before_the_next_is_sent(prompt_pair, path) -> None:
    """The upstream waits for a word after each event; the caller has it by then."""
    gateway, simulator = prompt_pair.gateway, prompt_pair.simulator
    body = question(prompt(deltas=8, stepwise=True, private_events=False))
    heard: list[dict] = []
    with gateway.client.stream("POST", path, json=body, timeout=10) as answer:
        pieces = answer.iter_raw()
        raw = b""
        sent = 1
        while not heard or heard[-1]["type"] != "response.completed":
            # The prelude is held back until there is content.
            while not heard and sent < PRELUDE_EVENTS:
                simulator.step()
                sent += 1
            while len(events := list(payloads(raw))) < sent:
                raw += next(pieces)
            heard += [json.loads(data) for data in events[len(heard) :]]
            assert len(heard) == sent
            if heard[-1]["type"] != "response.completed":
                simulator.step()
                sent += 1
    assert [event["type"] for event in heard].count("response.output_text.delta") == 8


def test_chat_chunks_arrive_before_the_next_event_is_sent(prompt_pair) -> None:
    """The same holds for chat completions: a chunk a delta."""
    gateway, simulator = prompt_pair.gateway, prompt_pair.simulator
    body = {
        "model": "gpt-5.5",
        "stream": True,
        "messages": [{"role": "user", "content": prompt(deltas=6, stepwise=True)}],
    }
    deltas = 0
    with gateway.client.stream("POST", "/v1/chat/completions", json=body, timeout=10) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data: {"))
        # Two private events and the prelude up to the first delta.
        for _ in range(2 + PRELUDE_EVENTS - 1):
            simulator.step()
        while deltas < 6:
            chunk = json.loads(next(lines).removeprefix("data: "))
            if chunk["choices"][0]["delta"].get("content"):
                deltas += 1
                simulator.step()
        # Three more `done` events, then the terminal one.
        for _ in range(3):
            simulator.step()
        assert any('"finish_reason":"stop"' in line for line in lines)
