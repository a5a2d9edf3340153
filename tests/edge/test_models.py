"""Tests of app.edge.models."""

import pytest
from msgspec import structs

from app.dialects.catalog import Catalog
from app.edge.guards import Guard
from app.edge.models import Models
from app.errors import NotAllowed, UnknownModel
from tests.edge.asgi import CALLER, Callers
from tests.fakes.clock import FakeClock


@pytest.fixture
def models() -> Models:
    """The built-in models and one alias."""
    found = Models(
        guard=Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False),
    )
    found.catalog = Catalog({"fast": "gpt-5.5"})
    return found


def test_a_name_is_resolved_for_everybody_without_a_list(models) -> None:
    """Models, aliases, and models with an effort."""
    assert models.resolve("gpt-5.5", CALLER).model == "gpt-5.5"
    assert models.resolve("fast", CALLER).model == "gpt-5.5"
    assert models.resolve("gpt-5.5-high", CALLER).effort == "high"
    with pytest.raises(UnknownModel):
        models.resolve("nothing", CALLER)


def test_a_list_may_name_the_alias_or_the_model(models) -> None:
    """Either lets the caller use it; neither does not."""
    for listed in ("fast", "gpt-5.5"):
        assert models.resolve("fast", structs.replace(CALLER, models=(listed,)))
    with pytest.raises(NotAllowed):
        models.resolve("fast", structs.replace(CALLER, models=("gpt-5.4",)))
    with pytest.raises(NotAllowed):
        models.resolve("gpt-5.5", structs.replace(CALLER, models=("fast",)))
