"""Tests of app.edge.input_tokens."""

import json

import msgspec
import pytest

from app.edge.counting import Counting
from app.edge.guards import Guard
from app.edge.input_tokens import InputTokensSpeaker
from app.edge.models import Models
from app.edge.plans import Asked
from app.edge.request import read_head
from app.edge.responses import ResponsesSpeaker
from app.errors import ContextUnavailable, GatewayError, InvalidRequest, UnknownModel
from tests.edge.asgi import CALLER, Callers, with_key
from tests.fakes.clock import FakeClock
from tests.fakes.history import memory_history


class Letters:
    """Counts a token a letter."""

    async def count(self, texts) -> int:
        """Return the number."""
        return sum(len(text) for text in texts)


def speaker() -> InputTokensSpeaker:
    """Return a speaker with the built-in models."""
    models = Models(guard=Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False))
    responses = ResponsesSpeaker(models=models, codex_route=False, history=memory_history())
    return InputTokensSpeaker(responses, models=models, counting=Counting(tokens=Letters()))


async def count(body: object) -> int:
    """Return the count of a request."""
    sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
    told = await speaker().plan(Asked(read_head(with_key()), CALLER, sent))
    document = json.loads(told.body)
    assert document["object"] == "response.input_tokens"
    return document["input_tokens"]


async def test_what_is_said_is_counted() -> None:
    """And what the model is told beside it."""
    short = await count({"model": "gpt-5.5", "input": "hello"})
    assert await count({"model": "gpt-5.5", "input": "hello, you"}) == short + 5
    assert await count({"model": "gpt-5.5", "input": "hello", "instructions": "Be brief."}) > short
    tool = {"type": "function", "name": "look", "parameters": {"type": "object"}}
    assert await count({"model": "gpt-5.5", "input": "hello", "tools": [tool]}) > short


async def test_a_model_or_an_input_may_be_left_out() -> None:
    """As on the API."""
    assert await count({"input": "hello"}) == await count({"model": "gpt-5.5", "input": "hello"})
    assert await count({"instructions": "Be brief."}) > 0


@pytest.mark.parametrize(("body", "kind"), [
    (b"no", InvalidRequest), (b"[]", InvalidRequest), (b"", InvalidRequest),
    ({"input": 5}, InvalidRequest), ({"model": "nothing", "input": "x"}, UnknownModel),
    ({"input": "x", "previous_response_id": "resp_0"}, ContextUnavailable),
])  # fmt: skip
async def test_what_can_not_be_counted_is_refused(body, kind) -> None:
    """As it would be if it were asked."""
    with pytest.raises(kind):
        await count(body)


def test_an_error_is_openais_object() -> None:
    """All four keys."""
    assert b'"error"' in speaker().error_body(GatewayError("no"))
    assert not speaker().codex_route
