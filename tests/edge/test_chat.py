"""Tests of app.edge.chat."""

import msgspec
import pytest
from msgspec import structs

from app.domain.call import Dialect
from app.edge.affinity import isolated
from app.edge.chat import ChatSpeaker
from app.edge.guards import Guard
from app.edge.models import Models
from app.edge.plans import Asked
from app.edge.request import read_head
from app.errors import GatewayError, InvalidRequest
from app.relay.reply import Batch
from app.wire.sse import SseEvent
from tests.edge.asgi import CALLER, Callers, with_key
from tests.fakes.clock import FakeClock

CREATED = b'{"type":"response.created","sequence_number":0,"response":{"id":"resp_1"}}'
DELTA = b'{"type":"response.output_text.delta","sequence_number":1,"delta":"hello"}'
COMPLETED = (
    b'{"type":"response.completed","sequence_number":2,"response":{"id":"resp_1",'
    b'"status":"completed","usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}}'
)


@pytest.fixture
def speaker() -> ChatSpeaker:
    """A speaker with the built-in models."""
    guard = Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False)
    return ChatSpeaker(models=Models(guard=guard), now=lambda: 1_700_000_000.5)


async def plan(speaker: ChatSpeaker, *headers: tuple[str, str], caller=CALLER, **fields):
    """Return the plan of a chat request."""
    messages = [{"role": "user", "content": "hello"}]
    body = msgspec.json.encode({"model": "gpt-5.5", "messages": messages} | fields)
    return await speaker.plan(Asked(read_head(with_key(*headers)), caller, body, "c0de-1"))


def batch(*events: bytes) -> Batch:
    """Return events that came together."""
    return Batch(b"".join(events), [SseEvent("", data, data) for data in events])


async def test_a_chat_request_becomes_a_responses_call(speaker) -> None:
    """With the caller's session, which is nobody else's."""
    planned = await plan(
        speaker, ("session-id", "s"), ("x-request-id", "mine"),
        stream=True, prompt_cache_key="cache",
    )  # fmt: skip
    call = planned.call
    body = msgspec.json.decode(call.body)
    assert (call.id, call.caller_id, call.dialect) == ("mine", CALLER.id, Dialect.CHAT)
    assert (body["model"], body["stream"], body["store"]) == ("gpt-5.5", True, False)
    assert body["prompt_cache_key"] == isolated("cache", CALLER.id)
    assert dict(call.headers)["session-id"] == isolated("s", CALLER.id)
    assert call.session_key
    assert planned.stream


async def test_a_call_says_what_was_asked_for(speaker) -> None:
    """For its accounts: the caller's words, and how long the answer may become."""
    planned = await plan(
        speaker, model="gpt-5.5-high", service_tier="fast", max_tokens=7, stream=True
    )
    call = planned.call
    assert (call.uid, call.asked_model, call.model) == ("c0de-1", "gpt-5.5-high", "gpt-5.5")
    assert (call.stream, call.tier, planned.output_tokens_max) == (True, "priority", 7)
    planned = await plan(speaker, max_completion_tokens=9, max_tokens=7)
    assert (planned.call.stream, planned.call.tier, planned.output_tokens_max) == (False, None, 9)
    assert (await plan(speaker)).output_tokens_max is None


async def test_a_conversation_without_a_name_is_known_by_its_beginning(speaker) -> None:
    """A name that the caller gives counts more."""
    said = {"role": "user", "content": "hello"}
    first = (await plan(speaker)).call.session_key
    later = [said, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "more"}]
    assert first is not None
    assert (await plan(speaker, messages=later)).call.session_key == first
    assert (await plan(speaker, messages=later[1:])).call.session_key != first
    assert (await plan(speaker, prompt_cache_key="cache")).call.session_key not in (None, first)


async def test_a_call_goes_where_its_callers_key_may_go(speaker) -> None:
    """To the accounts of its groups that carry its tags."""
    caller = structs.replace(CALLER, groups=("g1", "g2"), tags=("eu",))
    call = (await plan(speaker, caller=caller)).call
    assert (call.groups, call.tags) == (("g1", "g2"), ("eu",))


async def test_a_models_name_may_ask_for_an_effort(speaker) -> None:
    """What the request asks for itself wins."""
    named = msgspec.json.decode((await plan(speaker, model="gpt-5.5-high")).call.body)
    asked = msgspec.json.decode(
        (await plan(speaker, model="gpt-5.5-high", reasoning_effort="low")).call.body
    )
    assert (named["reasoning"]["effort"], asked["reasoning"]["effort"]) == ("high", "low")
    assert (named["model"], asked["model"]) == ("gpt-5.5", "gpt-5.5")


@pytest.mark.parametrize("body", [
    b"", b"[]", b"{}", b'{"model":"gpt-5.5","model":"gpt-5.5","messages":[]}',
    b'{"model":"gpt-5.5"}',
])  # fmt: skip
async def test_what_is_no_chat_request_is_refused(speaker, body) -> None:
    """Before anything else happens."""
    with pytest.raises(InvalidRequest):
        await speaker.plan(Asked(read_head(with_key()), CALLER, body))


async def test_a_reply_becomes_chunks(speaker) -> None:
    """Events one by one or together, with the same id; `[DONE]` ends them."""
    lane = (await plan(speaker, stream=True)).lane()
    said = lane.feed(batch(CREATED)) + lane.feed(batch(DELTA, COMPLETED)) + lane.finish()
    chunks = [part.removeprefix(b"data: ") for part in said.split(b"\n\n") if part]
    assert chunks[-1] == b"[DONE]"
    decoded = [msgspec.json.decode(chunk) for chunk in chunks[:-1]]
    assert len({chunk["id"] for chunk in decoded}) == 1
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in decoded)
    assert (text, decoded[0]["created"]) == ("hello", 1_700_000_000)


async def test_a_broken_stream_ends_with_an_error(speaker) -> None:
    """And without `[DONE]`."""
    said = (await plan(speaker, stream=True)).lane().failed(GatewayError("no"))
    assert msgspec.json.decode(said.removeprefix(b"data: "))["error"]["code"] == "internal_error"
    assert b"[DONE]" not in said


async def test_a_reply_becomes_one_completion(speaker) -> None:
    """For a caller that did not ask to stream."""
    planned = await plan(speaker)
    whole = planned.whole()
    whole.feed(batch(CREATED, DELTA, COMPLETED))
    answer = msgspec.json.decode(whole.body())
    assert not planned.stream
    assert answer["choices"][0]["message"]["content"] == "hello"


async def test_an_error_is_openais_object(speaker) -> None:
    """All four keys."""
    error = msgspec.json.decode(speaker.error_body(GatewayError("no")))["error"]
    assert error == {
        "message": "no",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
