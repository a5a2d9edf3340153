"""Tests of app.edge.responses."""

import msgspec
import pytest

from app.domain.call import Dialect
from app.edge.affinity import isolated
from app.edge.dataplane import Asked
from app.edge.guards import Guard
from app.edge.models import Models
from app.edge.request import read_head
from app.edge.responses import ResponsesSpeaker
from app.errors import GatewayError, InvalidRequest
from app.relay.reply import Batch
from app.wire.sse import SseEvent
from tests.edge.asgi import CALLER, Callers, with_key
from tests.fakes.clock import FakeClock

CREATED = b'{"type":"response.created","sequence_number":0,"response":{"id":"resp_1"}}'
DELTA = b'{"type":"response.output_text.delta","sequence_number":7,"delta":"hello"}'
COMPLETED = (
    b'{"type":"response.completed","sequence_number":8,"response":{"id":"resp_1",'
    b'"status":"completed","output":[{"type":"message"}]}}'
)


def speaker(*, codex_route: bool = False) -> ResponsesSpeaker:
    """Return a speaker with the built-in models."""
    guard = Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False)
    return ResponsesSpeaker(models=Models(guard=guard), codex_route=codex_route)


def plan(*headers: tuple[str, str], codex_route: bool = False, **fields):
    """Return the plan of a Responses request."""
    body = msgspec.json.encode({"model": "gpt-5.5", "input": "hello"} | fields)
    asked = Asked(read_head(with_key(*headers)), CALLER, body)
    return speaker(codex_route=codex_route).plan(asked)


def batch(*events: bytes) -> Batch:
    """Return events that came together, as they are on the wire."""
    spelled = [SseEvent("", data, b"data: " + data + b"\n\n") for data in events]
    return Batch(b"".join(event.raw for event in spelled), spelled)


def test_a_request_becomes_a_call() -> None:
    """With the caller's session and cache key, which are nobody else's."""
    planned = plan(("session_id", "s"), ("x-request-id", "mine"), prompt_cache_key="cache")
    call = planned.call
    body = msgspec.json.decode(call.body)
    assert (call.id, call.caller_id, call.dialect) == ("mine", CALLER.id, Dialect.RESPONSES)
    assert (body["model"], body["stream"], body["store"]) == ("gpt-5.5", True, False)
    assert body["prompt_cache_key"] == isolated("cache", CALLER.id)
    assert dict(call.headers)["session_id"] == isolated("s", CALLER.id)
    assert (planned.stream, call.codex_route, call.owner_keys) == (False, False, ())
    assert call.session_key


def test_encrypted_items_are_looked_up_under_the_callers_name() -> None:
    """The account that made them is the one to ask."""
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    planned = plan(input=[item, {"role": "user", "content": "x"}], stream=True, codex_route=True)
    (key,) = planned.call.owner_keys
    assert key.startswith(f"{CALLER.id}:")
    assert (planned.stream, planned.call.codex_route) == (True, True)


@pytest.mark.parametrize("body", [
    b"", b"[]", b"{}", b'{"model":"gpt-5.5","model":"gpt-5.5","input":"x"}', b'{"model":"gpt-5.5"}',
])  # fmt: skip
def test_what_is_no_request_is_refused(body) -> None:
    """Before anything else happens."""
    with pytest.raises(InvalidRequest):
        speaker().plan(Asked(read_head(with_key()), CALLER, body))


def test_a_reply_passes_through() -> None:
    """Byte for byte, with nothing after its terminal event."""
    lane = plan(stream=True).lane()
    events = batch(CREATED, DELTA, COMPLETED)
    assert lane.feed(events) + lane.finish() == events.raw


@pytest.mark.parametrize(("before", "number", "id"), [
    ([], 0, None),
    ([CREATED], 1, "resp_1"),
    ([CREATED, DELTA], 8, "resp_1"),
    ([CREATED, b"no JSON"], 0, "resp_1"),
])  # fmt: skip
def test_a_broken_stream_ends_with_the_next_event(before, number, id) -> None:
    """Numbered and named as the stream was, as far as it is known."""
    lane = plan(stream=True).lane()
    for data in before:
        lane.feed(batch(data))
    said = lane.failed(GatewayError("no"))
    event = msgspec.json.decode(said.split(b"data: ", 1)[1])
    assert event["type"] == "response.failed"
    assert (event["sequence_number"], event["response"]["id"]) == (number, id)


def test_a_reply_becomes_one_response() -> None:
    """For a caller that did not ask to stream."""
    whole = plan().whole()
    whole.feed(batch(CREATED, DELTA, COMPLETED))
    assert msgspec.json.decode(whole.body())["id"] == "resp_1"


def test_an_error_is_openais_object() -> None:
    """All four keys."""
    error = msgspec.json.decode(speaker().error_body(GatewayError("no")))["error"]
    assert error.keys() == {"message", "type", "param", "code"}
