"""Tests of app.edge.responses."""

import msgspec
import pytest
from msgspec import structs

from app.domain.call import Dialect
from app.edge.affinity import isolated
from app.edge.guards import Guard
from app.edge.models import Models
from app.edge.plans import Asked
from app.edge.request import read_head
from app.edge.responses import ResponsesSpeaker
from app.errors import GatewayError, InvalidRequest
from app.relay.reply import Batch
from app.wire.sse import SseEvent
from tests.edge.asgi import CALLER, Callers, with_key
from tests.fakes.clock import FakeClock
from tests.fakes.history import memory_history

CREATED = b'{"type":"response.created","sequence_number":0,"response":{"id":"resp_1"}}'
DELTA = b'{"type":"response.output_text.delta","sequence_number":7,"delta":"hello"}'
COMPLETED = (
    b'{"type":"response.completed","sequence_number":8,"response":{"id":"resp_1",'
    b'"status":"completed","output":[{"type":"message"}]}}'
)


HISTORY = memory_history()


def speaker(*, codex_route: bool = False) -> ResponsesSpeaker:
    """Return a speaker with the built-in models."""
    guard = Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False)
    return ResponsesSpeaker(models=Models(guard=guard), codex_route=codex_route, history=HISTORY)


async def plan(*headers: tuple[str, str], codex_route: bool = False, caller=CALLER, **fields):
    """Return the plan of a Responses request."""
    body = msgspec.json.encode({"model": "gpt-5.5", "input": "hello"} | fields)
    asked = Asked(read_head(with_key(*headers)), caller, body, "c0de-1")
    return await speaker(codex_route=codex_route).plan(asked)


def batch(*events: bytes) -> Batch:
    """Return events that came together, as they are on the wire."""
    spelled = [SseEvent("", data, b"data: " + data + b"\n\n") for data in events]
    return Batch(b"".join(event.raw for event in spelled), spelled)


async def test_a_request_becomes_a_call() -> None:
    """With the caller's session and cache key, which are nobody else's."""
    planned = await plan(("session_id", "s"), ("x-request-id", "mine"), prompt_cache_key="cache")
    call = planned.call
    body = msgspec.json.decode(call.body)
    assert (call.id, call.caller_id, call.dialect) == ("mine", CALLER.id, Dialect.RESPONSES)
    assert (body["model"], body["stream"], body["store"]) == ("gpt-5.5", True, False)
    assert body["prompt_cache_key"] == isolated("cache", CALLER.id)
    assert dict(call.headers)["session_id"] == isolated("s", CALLER.id)
    assert (planned.stream, call.codex_route, call.owner_keys) == (False, False, ())
    assert call.session_key


async def test_a_call_says_what_was_asked_for() -> None:
    """For its accounts: the caller's words, and how long the answer may become."""
    planned = await plan(
        model="gpt-5.5-high", service_tier="priority", max_output_tokens=70, stream=True
    )
    call = planned.call
    assert (call.uid, call.asked_model, call.model) == ("c0de-1", "gpt-5.5-high", "gpt-5.5")
    assert (call.stream, call.tier, planned.output_tokens_max) == (True, "priority", 70)
    planned = await plan(service_tier="fast", max_output_tokens=None)
    assert (planned.call.stream, planned.call.tier) == (False, "priority")
    assert (planned.output_tokens_max, (await plan()).call.tier) == (None, None)


async def test_encrypted_items_are_looked_up_under_the_callers_name() -> None:
    """The account that made them is the one to ask."""
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    planned = await plan(
        input=[item, {"role": "user", "content": "x"}], stream=True, codex_route=True
    )
    (key,) = planned.call.owner_keys
    assert key.startswith(f"{CALLER.id}:")
    assert (planned.stream, planned.call.codex_route) == (True, True)


async def test_a_compaction_binds_the_call() -> None:
    """Reasoning beside it does not."""
    reasoning = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    compaction = {"type": "compaction", "encrypted_content": "gBBBB"}
    call = (await plan(input=[compaction, reasoning, {"role": "user", "content": "x"}])).call
    assert call.bound_keys == call.owner_keys[1:]
    assert len(call.owner_keys) == 2
    assert (await plan()).call.bound_keys == ()


async def test_a_conversation_without_a_name_is_known_by_its_beginning() -> None:
    """A name that the caller gives counts more."""
    said = {"role": "user", "content": "hello"}
    first = (await plan(input=[said])).call.session_key
    second = (
        await plan(input=[said, {"role": "assistant", "content": "hi"}, said])
    ).call.session_key
    assert first is not None
    assert first == second
    assert (await plan(input=[said], instructions="be brief")).call.session_key != first
    named = (await plan(input=[said], prompt_cache_key="cache")).call.session_key
    assert named not in (None, first)


async def test_a_call_goes_where_its_callers_key_may_go() -> None:
    """To the accounts of its groups that carry its tags."""
    caller = structs.replace(CALLER, groups=("g1", "g2"), tags=("eu",))
    call = (await plan(caller=caller)).call
    assert (call.groups, call.tags) == (("g1", "g2"), ("eu",))


@pytest.mark.parametrize("body", [
    b"", b"[]", b"{}", b'{"model":"gpt-5.5","model":"gpt-5.5","input":"x"}', b'{"model":"gpt-5.5"}',
])  # fmt: skip
async def test_what_is_no_request_is_refused(body) -> None:
    """Before anything else happens."""
    with pytest.raises(InvalidRequest):
        await speaker().plan(Asked(read_head(with_key()), CALLER, body))


async def test_a_reply_passes_through() -> None:
    """Byte for byte, with nothing after its terminal event."""
    lane = (await plan(stream=True)).lane()
    events = batch(CREATED, DELTA, COMPLETED)
    assert lane.feed(events) + lane.finish() == events.raw


OVERLOADED = (
    b'{"type":"response.failed","sequence_number":9,'
    b'"response":{"error":{"code":"server_is_overloaded","message":"busy"}}}'
)


@pytest.mark.parametrize("codex_route", [True, False])
async def test_an_overload_after_content_does_not_end_a_codex_client(codex_route) -> None:
    """It tries again after the code that it is told instead; nothing else differs."""
    lane = (await plan(stream=True, codex_route=codex_route)).lane()
    events = batch(DELTA, OVERLOADED)
    assert lane.feed(events) == events.raw.replace(b"server_is_overloaded", b"server_error")


@pytest.mark.parametrize(("before", "number", "id"), [
    ([], 0, None),
    ([CREATED], 1, "resp_1"),
    ([CREATED, DELTA], 8, "resp_1"),
    ([CREATED, b"no JSON"], 0, "resp_1"),
])  # fmt: skip
async def test_a_broken_stream_ends_with_the_next_event(before, number, id) -> None:
    """Numbered and named as the stream was, as far as it is known."""
    lane = (await plan(stream=True)).lane()
    for data in before:
        lane.feed(batch(data))
    said = lane.failed(GatewayError("no"))
    event = msgspec.json.decode(said.split(b"data: ", 1)[1])
    assert event["type"] == "response.failed"
    assert (event["sequence_number"], event["response"]["id"]) == (number, id)


async def test_a_reply_becomes_one_response() -> None:
    """For a caller that did not ask to stream."""
    whole = (await plan()).whole()
    whole.feed(batch(CREATED, DELTA, COMPLETED))
    assert msgspec.json.decode(whole.body())["id"] == "resp_1"


async def test_an_error_is_openais_object() -> None:
    """All four keys."""
    error = msgspec.json.decode(speaker().error_body(GatewayError("no")))["error"]
    assert error.keys() == {"message", "type", "param", "code"}
