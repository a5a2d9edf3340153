"""Tests of app.edge.models."""

import pytest

from app.dialects.catalog import Catalog
from app.domain.caller import Caller, KeyId
from app.edge.guards import Guard
from app.edge.models import Models
from app.errors import NotAllowed, UnknownModel
from tests.edge.asgi import CALLER, Callers
from tests.fakes.clock import FakeClock


@pytest.fixture
def models() -> Models:
    """Models with an alias."""
    guard = Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False)
    models = Models(guard=guard)
    models.catalog = Catalog({"fast": "mine-low"}, configured=["mine", "other"])
    return models


def only(*names: str) -> Caller:
    """Return a caller whose key is for these models."""
    return Caller(KeyId("key-1"), "one", models=names)


@pytest.mark.parametrize(("requested", "model", "effort"), [
    ("mine", "mine", None), ("mine-high", "mine", "high"), ("fast", "mine", "low"),
])  # fmt: skip
@pytest.mark.parametrize("caller", [CALLER, only("mine")])
def test_a_name_means_what_the_catalogue_says(models, caller, requested, model, effort) -> None:
    """A key for a model is for all of its names."""
    resolved = models.resolve(requested, caller)
    assert (resolved.model, resolved.effort) == (model, effort)


def test_a_key_may_be_for_a_name(models) -> None:
    """For an alias, say, and not for what is behind it."""
    assert models.resolve("fast", only("fast")).model == "mine"
    with pytest.raises(NotAllowed):
        models.resolve("mine", only("fast"))


@pytest.mark.parametrize("requested", ["mine", "mine-high", "fast"])
def test_a_key_for_another_model_is_not_for_this_one(models, requested) -> None:
    """By none of its names; the error tells the field."""
    with pytest.raises(NotAllowed) as refused:
        models.resolve(requested, only("other"))
    assert refused.value.param == "model"


@pytest.mark.parametrize("caller", [CALLER, only("mine")])
def test_a_name_that_means_nothing_is_unknown(models, caller) -> None:
    """Whoever asks."""
    with pytest.raises(UnknownModel):
        models.resolve("gpt-unheard-of", caller)


def test_a_new_catalogue_counts_at_once(models) -> None:
    """It takes the old one's place as a whole."""
    models.catalog = Catalog(configured=["new"])
    assert models.resolve("new", CALLER).model == "new"
    with pytest.raises(UnknownModel):
        models.resolve("mine", CALLER)


def test_a_claude_models_name_is_for_messages_callers(models) -> None:
    """A key for the model behind it is for it, too."""
    models.catalog = Catalog(claude={"claude-*": "mine-low"}, configured=["mine", "other"])
    resolved = models.resolve_claude("claude-x", only("mine"))
    assert (resolved.model, resolved.effort) == ("mine", "low")
    assert models.resolve_claude("claude-x", only("claude-x")).model == "mine"
    with pytest.raises(NotAllowed):
        models.resolve_claude("claude-x", only("other"))
    with pytest.raises(UnknownModel):
        models.resolve("claude-x", CALLER)
