"""Tests of app.edge.counting."""

import msgspec
import pytest

from app.dialects.catalog import Catalog
from app.domain.call import Dialect
from app.domain.runtime import CLAUDE_MODELS
from app.edge.counting import Counting, CountTokensSpeaker
from app.edge.guards import Guard
from app.edge.models import Models
from app.edge.plans import Asked
from app.edge.request import read_head
from app.errors import InvalidRequest, UnknownModel
from tests.edge.asgi import CALLER, Callers, with_key
from tests.fakes.clock import FakeClock


class Letters:
    """A tokenizer for which every letter is a token."""

    async def count(self, texts) -> int:
        """Return the letters."""
        return sum(map(len, texts))


@pytest.fixture
def speaker() -> CountTokensSpeaker:
    """A speaker with the built-in models."""
    guard = Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False)
    models = Models(guard=guard)
    models.catalog = Catalog(claude=CLAUDE_MODELS)
    return CountTokensSpeaker(models=models, counting=Counting(tokens=Letters()))


async def count(speaker, text="hello", **fields) -> int:
    """Return the count of a request."""
    usual = {"model": "claude-opus-5", "messages": [{"role": "user", "content": text}]}
    asked = Asked(read_head(with_key()), CALLER, msgspec.json.encode(usual | fields))
    return msgspec.json.decode((await speaker.plan(asked)).body)["input_tokens"]


async def test_a_request_is_counted_as_it_would_go_upstream(speaker) -> None:
    """A limit is not needed for it."""
    assert speaker.dialect is Dialect.MESSAGES
    assert await count(speaker, "hello!") == await count(speaker) + 1
    assert await count(speaker, system="sys") == await count(speaker) + 4 + 3


@pytest.mark.parametrize(("fields", "kind"), [
    ({"model": "gemini"}, UnknownModel), ({"messages": []}, InvalidRequest),
    ({"tools": [{"name": "a"}]}, InvalidRequest),
])  # fmt: skip
async def test_what_could_not_be_sent_is_not_counted(speaker, fields, kind) -> None:
    """The error is the one that the call itself would get."""
    with pytest.raises(kind) as refused:
        await count(speaker, **fields)
    assert b'"type":"error"' in speaker.error_body(refused.value)
