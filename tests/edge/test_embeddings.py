"""Tests of app.edge.embeddings."""

import msgspec
import pytest
from msgspec import structs

from app.dialects.catalog import Catalog
from app.domain.call import Dialect
from app.domain.needs import Need
from app.domain.operation import Operation
from app.domain.usage import Usage
from app.edge.embeddings import EmbeddingsSpeaker
from app.edge.guards import Guard
from app.edge.models import Models
from app.edge.plans import Asked
from app.edge.request import read_head
from app.errors import InvalidRequest, NotAllowed
from tests.edge.asgi import CALLER, Callers, with_key
from tests.fakes.clock import FakeClock

MODEL = "text-embedding-3-small"


@pytest.fixture
def speaker() -> EmbeddingsSpeaker:
    """A speaker with one model, which has an alias."""
    models = Models(guard=Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False))
    models.catalog = Catalog({"small": MODEL}, configured=[MODEL])
    return EmbeddingsSpeaker(models=models)


async def plan(speaker, caller=CALLER, **fields):
    """Return the plan of a request."""
    body = msgspec.json.encode({"model": MODEL, "input": "x"} | fields)
    return await speaker.plan(Asked(read_head(with_key()), caller, body, "c0de-1"))


async def test_a_request_is_passed_on_under_the_models_own_name(speaker) -> None:
    """To a kind of upstream that has embeddings."""
    planned = await plan(speaker, model="small", encoding_format="base64", dimensions=8)
    call = planned.call
    assert (call.dialect, call.operation) == (Dialect.EMBEDDINGS, Operation.EMBEDDINGS)
    assert call.needs == {Need.EMBEDDINGS}
    assert (call.model, call.asked_model) == (MODEL, "small")
    assert msgspec.json.decode(call.body) == {
        "model": MODEL, "input": "x", "encoding_format": "base64", "dimensions": 8,
    }  # fmt: skip
    assert (planned.stream, planned.output_tokens_max) == (False, 0)


async def test_the_answer_is_passed_back_as_it_came(speaker) -> None:
    """And what it counts is what was used."""
    form = (await plan(speaker)).document
    body = b'{"data":[], "usage":{"prompt_tokens":3}}'
    assert form.body(body) is body
    assert form.usage(body) == Usage(input=3)


async def test_what_is_wrong_costs_no_account(speaker) -> None:
    """Nor does a model that the caller's key is not for."""
    with pytest.raises(InvalidRequest) as caught:
        await plan(speaker, input=[])
    assert msgspec.json.decode(speaker.error_body(caught.value))["error"]["param"] == "input"
    with pytest.raises(NotAllowed):
        await plan(speaker, structs.replace(CALLER, models=("gpt-5.5",)))
