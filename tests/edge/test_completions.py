"""Tests of app.edge.completions."""

import msgspec
import pytest

from app.domain.call import Dialect
from app.edge.completions import CompletionsSpeaker
from app.edge.guards import Guard
from app.edge.models import Models
from app.edge.plans import Asked
from app.edge.request import read_head
from app.errors import InvalidRequest, StreamIncomplete, UnknownModel
from app.relay.reply import Batch
from app.wire.sse import SseEvent
from tests.edge.asgi import CALLER, Callers, with_key
from tests.edge.test_chat import COMPLETED, CREATED, DELTA
from tests.fakes.clock import FakeClock


@pytest.fixture
def speaker() -> CompletionsSpeaker:
    """A speaker with the built-in models."""
    guard = Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False)
    return CompletionsSpeaker(models=Models(guard=guard), now=lambda: 1_700_000_000.5)


async def plan(speaker, **fields):
    """Return the plan of a request."""
    body = msgspec.json.encode({"model": "gpt-5.5-high", "prompt": "hello"} | fields)
    return await speaker.plan(Asked(read_head(with_key()), CALLER, body, "c0de-1"))


def batch(*events: bytes) -> Batch:
    """Return events that came together."""
    return Batch(b"".join(events), [SseEvent("", data, data) for data in events])


async def test_a_prompt_becomes_a_responses_call(speaker) -> None:
    """What tunes it travels beside it, and its model's name is taken apart."""
    planned = await plan(speaker, stream=True, max_tokens=7)
    call = planned.call
    assert (call.dialect, call.model, call.asked_model) == (
        Dialect.COMPLETIONS, "gpt-5.5", "gpt-5.5-high",
    )  # fmt: skip
    assert msgspec.json.decode(call.body)["reasoning"] == {"effort": "high"}
    assert msgspec.json.decode(call.tuning) == {"max_output_tokens": 7}
    assert (planned.stream, planned.output_tokens_max) == (True, 7)
    assert call.session_key


async def test_a_reply_is_said_as_a_completion_streamed_or_whole(speaker) -> None:
    """Under one id each."""
    planned = await plan(speaker)
    lane, whole = planned.lane(), planned.whole()
    said = lane.feed(batch(CREATED, DELTA)) + lane.feed(batch(COMPLETED)) + lane.finish()
    assert b'"object":"text_completion"' in said
    assert said.endswith(b"data: [DONE]\n\n")
    assert b'"error"' in lane.failed(StreamIncomplete("cut"))
    whole.feed(batch(CREATED, DELTA, COMPLETED))
    answer = msgspec.json.decode(whole.body())
    assert (answer["choices"][0]["text"], answer["model"]) == ("hello", "gpt-5.5-high")
    assert answer["id"].startswith("cmpl-")


async def test_what_is_wrong_is_said_in_openais_shape(speaker) -> None:
    """With the field's name."""
    with pytest.raises(InvalidRequest) as caught:
        await plan(speaker, suffix="x")
    assert msgspec.json.decode(speaker.error_body(caught.value))["error"]["param"] == "suffix"
    with pytest.raises(UnknownModel):
        await plan(speaker, model="text-davinci-003")
