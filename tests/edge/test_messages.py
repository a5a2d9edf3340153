"""Tests of app.edge.messages."""

import msgspec
import pytest
from msgspec import structs

from app.dialects.catalog import Catalog
from app.dialects.messages.requests import decode
from app.dialects.responses.encrypted import fingerprint
from app.domain.call import Dialect
from app.domain.needs import Need
from app.domain.runtime import CLAUDE_MODELS
from app.edge.affinity import isolated
from app.edge.guards import Guard
from app.edge.messages import MessagesSpeaker, session_of
from app.edge.models import Models
from app.edge.plans import Asked
from app.edge.request import read_head
from app.errors import GatewayError, InvalidRequest, UnknownModel
from app.relay.reply import Batch
from app.wire.sse import SseEvent
from tests.edge.asgi import CALLER, Callers, with_key
from tests.fakes.clock import FakeClock

CREATED = b'{"type":"response.created","sequence_number":0,"response":{"id":"resp_1"}}'
DELTA = b'{"type":"response.output_text.delta","output_index":0,"delta":"hello"}'
COMPLETED = (
    b'{"type":"response.completed","sequence_number":2,"response":{"id":"resp_1",'
    b'"status":"completed","usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}}'
)
SESSION = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def speaker() -> MessagesSpeaker:
    """A speaker with the built-in models."""
    guard = Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False)
    models = Models(guard=guard)
    models.catalog = Catalog(claude=CLAUDE_MODELS)
    return MessagesSpeaker(models=models)


def body(**fields) -> bytes:
    """Return a request."""
    messages = [{"role": "user", "content": "hello"}]
    usual = {"model": "claude-opus-5", "max_tokens": 7, "messages": messages}
    return msgspec.json.encode(usual | fields)


async def plan(speaker, *headers: tuple[str, str], caller=CALLER, **fields):
    """Return the plan of a Messages request."""
    asked = Asked(read_head(with_key(*headers)), caller, body(**fields), "c0de-1")
    return await speaker.plan(asked)


def batch(*events: bytes) -> Batch:
    """Return events that came together."""
    return Batch(b"".join(events), [SseEvent("", data, data) for data in events])


async def test_a_request_becomes_a_responses_call(speaker) -> None:
    """Under the upstream's name of the model, with what the caller asked for beside it."""
    planned = await plan(speaker, ("x-request-id", "mine"), stream=True, speed="fast")
    call = planned.call
    sent = msgspec.json.decode(call.body)
    assert (call.id, call.caller_id, call.dialect) == ("mine", CALLER.id, Dialect.MESSAGES)
    assert (sent["model"], sent["stream"], sent["store"]) == ("gpt-5.5", True, False)
    assert (call.uid, call.asked_model, call.model) == ("c0de-1", "claude-opus-5", "gpt-5.5")
    assert (call.stream, call.tier, planned.output_tokens_max) == (True, "priority", 7)
    assert msgspec.json.decode(call.tuning) == {"max_output_tokens": 7}
    assert call.needs == frozenset()


@pytest.mark.parametrize(("name", "model"), [
    ("claude-haiku-4-5-20251001", "gpt-5.4-mini"), ("claude-3-5-haiku-latest", "gpt-5.4-mini"),
    ("claude-sonnet-5[1m]", "gpt-5.5"), ("gpt-5.4", "gpt-5.4"), ("gpt-5.5-high", "gpt-5.5"),
])  # fmt: skip
async def test_claude_models_have_names_here(speaker, name, model) -> None:
    """And others keep theirs."""
    assert (await plan(speaker, model=name)).call.model == model


async def test_a_name_that_means_nothing_is_unknown(speaker) -> None:
    """Unless the operator gave every name a meaning."""
    with pytest.raises(UnknownModel):
        await plan(speaker, model="gemini")


async def test_a_session_stays_where_it_is(speaker) -> None:
    """By what Claude Code tells of it, else by how it begins."""
    header = ("x-claude-code-session-id", "s")
    call = (await plan(speaker, header)).call
    assert msgspec.json.decode(call.body)["prompt_cache_key"] == isolated("s", CALLER.id)
    assert call.session_key == (await plan(speaker, header, system="other")).call.session_key
    other = (await plan(speaker, header, ("x-claude-code-agent-id", "a"))).call
    assert other.session_key != call.session_key
    unnamed = (await plan(speaker)).call
    assert unnamed.session_key == (await plan(speaker)).call.session_key
    assert unnamed.session_key != (await plan(speaker, system="other")).call.session_key
    assert "prompt_cache_key" not in msgspec.json.decode(unnamed.body)


@pytest.mark.parametrize(("user_id", "session"), [
    (f"user_abc_account__session_{SESSION}", SESSION), (f'{{"session_id":"{SESSION}"}}', SESSION),
    ("a person", None), ('{"device_id":"d"}', None), ("3", None), (None, None), ("", None),
])  # fmt: skip
def test_a_session_may_stand_in_the_users_id(user_id, session) -> None:
    """Any other user's id is a person."""
    request = decode(body(metadata={"user_id": user_id}))
    assert session_of(read_head(with_key()), request) == session


async def test_thoughts_belong_to_the_account_that_had_them(speaker) -> None:
    """They are named as the upstream's own items are."""
    said = {"type": "thinking", "thinking": "x", "signature": "c2a1.gAAAA"}
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [said]},
        {"role": "user", "content": "b"},
    ]
    call = (await plan(speaker, messages=messages)).call
    assert call.owner_keys == (f"{CALLER.id}:{fingerprint('gAAAA')}",)


async def test_a_call_goes_where_its_callers_key_may_go(speaker) -> None:
    """To the accounts of its groups that carry its tags, and that can search if they must."""
    caller = structs.replace(CALLER, groups=("g1", "g2"), tags=("eu",))
    search = {"type": "web_search_20250305", "name": "web_search"}
    choice = {"type": "tool", "name": "web_search"}
    call = (await plan(speaker, caller=caller, tools=[search], tool_choice=choice)).call
    assert (call.groups, call.tags) == (("g1", "g2"), ("eu",))
    assert call.needs == {Need.SEARCH}


async def test_a_limit_is_required(speaker) -> None:
    """As Anthropic's API has it; the field is named."""
    with pytest.raises(InvalidRequest) as refused:
        await plan(speaker, max_tokens=None)
    assert refused.value.param == "max_tokens"


async def test_a_reply_becomes_events(speaker) -> None:
    """One by one or together, and nothing after the last one."""
    lane = (await plan(speaker, stream=True)).lane()
    said = lane.feed(batch(CREATED)) + lane.feed(batch(DELTA, COMPLETED))
    assert said.startswith(b"event: message_start\n")
    assert b'"hello"' in said
    assert said.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert lane.finish() == b""


async def test_a_broken_stream_ends_with_an_error(speaker) -> None:
    """Which names the request."""
    planned = await plan(speaker, ("x-request-id", "mine"), stream=True)
    said = planned.lane().failed(GatewayError("no"))
    event = msgspec.json.decode(said.partition(b"\ndata: ")[2])
    assert (event["error"]["type"], event["request_id"]) == ("api_error", "mine")


async def test_a_reply_becomes_one_message(speaker) -> None:
    """For a caller that did not ask to stream."""
    planned = await plan(speaker)
    whole = planned.whole()
    whole.feed(batch(CREATED, DELTA, COMPLETED))
    answer = msgspec.json.decode(whole.body())
    assert not planned.stream
    assert answer["content"] == [{"type": "text", "text": "hello"}]
    assert answer["model"] == "claude-opus-5"


def test_an_error_is_anthropics_object(speaker) -> None:
    """Without what only OpenAI's has."""
    error = msgspec.json.decode(speaker.error_body(GatewayError("no")))
    assert error == {"type": "error", "error": {"type": "api_error", "message": "no"}}
