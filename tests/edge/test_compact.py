"""Tests of app.edge.compact."""

import json

import msgspec
import pytest

from app.domain.call import Dialect
from app.domain.needs import Need
from app.domain.operation import Operation
from app.edge.compact import CompactSpeaker
from app.edge.guards import Guard
from app.edge.models import Models
from app.edge.plans import Asked, Plan
from app.edge.request import read_head
from app.edge.responses import ResponsesSpeaker
from app.errors import GatewayError, InvalidRequest
from app.relay.reply import Batch
from app.wire.sse import SseEvent
from tests.edge.asgi import CALLER, Callers, with_key
from tests.fakes.clock import FakeClock
from tests.fakes.history import memory_history

HI = {"role": "user", "content": "hi"}
DONE = (
    b'{"type":"response.output_item.done","item":{"type":"compaction","encrypted_content":"g"}}',
    b'{"type":"response.completed","response":{"id":"resp_1","created_at":1}}',
)


def speaker(history=None, *, codex_route: bool = False) -> CompactSpeaker:
    """Return a speaker with the built-in models."""
    guard = Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False)
    models = Models(guard=guard)
    return CompactSpeaker(
        ResponsesSpeaker(
            models=models,
            codex_route=codex_route,
            history=memory_history() if history is None else history,
        )
    )


async def plan(history=None, **fields) -> Plan:
    """Return the plan of a request to compact."""
    body = msgspec.json.encode({"model": "gpt-5.5"} | fields)
    return await speaker(history).plan(Asked(read_head(with_key()), CALLER, body, "c0de-1"))


async def test_a_request_to_compact_is_a_call_with_a_trigger() -> None:
    """That only some kinds of upstream know."""
    planned = await plan(input=[HI])
    call, items = planned.call, json.loads(planned.call.body)["input"]
    assert [item["type"] for item in items] == ["message", "compaction_trigger"]
    assert (call.operation, call.dialect) == (Operation.RESPONSE, Dialect.RESPONSES)
    assert Need.COMPACTION in call.needs
    assert not planned.stream


async def test_others_are_asked_at_the_endpoint_that_is_there_for_it() -> None:
    """With nothing that it does not take."""
    otherwise = (await plan(input=[HI])).otherwise
    assert otherwise is not None
    assert otherwise.document is not None
    call = otherwise.call
    assert call.operation is Operation.COMPACT
    assert (Need.COMPACT in call.needs, Need.COMPACTION in call.needs) == (True, False)
    body = json.loads(call.body)
    assert body.keys() <= {"model", "input", "instructions", "reasoning"}
    assert [item["type"] for item in body["input"]] == ["message"]


async def test_an_earlier_response_can_be_compacted() -> None:
    """As it was said, with all before it."""
    history = memory_history()
    asked = Asked(
        read_head(with_key()), CALLER, msgspec.json.encode({"model": "gpt-5.5", "input": [HI]})
    )
    first = await speaker(history)._responses.plan(asked)
    whole = first.whole()
    whole.feed(batch(b'{"type":"response.completed","response":{"id":"resp_1","output":[]}}'))
    whole.body()
    planned = await plan(history, previous_response_id="resp_1")
    items = json.loads(planned.call.body)["input"]
    assert [item["type"] for item in items] == ["message", "compaction_trigger"]


def batch(*events: bytes) -> Batch:
    """Return events that came together."""
    spelled = [SseEvent("", data, b"data: " + data + b"\n\n") for data in events]
    return Batch(b"".join(event.raw for event in spelled), spelled)


async def test_the_answer_is_a_document() -> None:
    """What the user said, then the compaction."""
    whole = (await plan(input=[HI])).whole()
    whole.feed(batch(*DONE))
    document = json.loads(whole.body())
    assert [item["type"] for item in document["output"]] == ["message", "compaction"]


async def test_a_wrong_request_is_refused() -> None:
    """In OpenAI's shape."""
    with pytest.raises(InvalidRequest):
        await plan(stream=True, input=[HI])
    assert b'"error"' in speaker().error_body(GatewayError("no"))
    assert speaker(codex_route=True).codex_route
