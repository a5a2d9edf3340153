"""A caller's name for a model means one model, or none."""

import json

import pytest

from app.dialects.catalog import Catalog, list_body, model_body
from app.dialects.manifest import CARDS
from app.errors import UnknownModel

CATALOG = Catalog(
    {
        "smart": "gpt-5.6-sol",
        "smartest": "gpt-5.6-sol-ultra",
        "gpt-4*": "gpt-5.4-mini",
        "claude-*-x": "my-own",
        "gpt-5.5": "gpt-5.4",
        "loop": "loop",
        "chain": "smart",
        "dangling": "nothing",
    },
    configured=("my-own", "my-own-high", "gpt-5.4"),
)


@pytest.mark.parametrize(
    ("requested", "model", "effort"),
    [
        ("gpt-5.6-sol", "gpt-5.6-sol", None),
        ("gpt-5.6-sol-high", "gpt-5.6-sol", "high"),
        ("gpt-5.4-mini", "gpt-5.4-mini", None),
        ("gpt-5.4-mini-low", "gpt-5.4-mini", "low"),
        ("smart", "gpt-5.6-sol", None),
        ("smart-low", "gpt-5.6-sol", "low"),
        ("smartest", "gpt-5.6-sol", "ultra"),
        ("gpt-4o-2024", "gpt-5.4-mini", None),
        ("claude-a-x", "my-own", None),
        ("gpt-5.5", "gpt-5.4", None),
        ("my-own", "my-own", None),
        ("my-own-high", "my-own-high", None),
        ("my-own-low", "my-own", "low"),
        ("codex-auto-review", "codex-auto-review", None),
    ],
)
def test_a_name_means_a_model(requested, model, effort):
    """Aliases first, then models, then models with an effort behind them."""
    found = CATALOG.resolve(requested)
    assert (found.model, found.effort) == (model, effort)
    assert found.card == next((card for card in CARDS if card.slug == model), None)


def test_efforts_are_the_cards():
    """They are not known of a model that is only configured."""
    assert CATALOG.resolve("gpt-5.4").efforts == ("low", "medium", "high", "xhigh")
    assert CATALOG.resolve("my-own").efforts is None


@pytest.mark.parametrize(
    "requested",
    [
        "",
        "gpt-9",
        "high",
        "-high",
        "gpt-9-high",
        "gpt-5.6-sol-huge",
        "GPT-5.4",
        "loop",
        "chain",
        "chain-low",
        "dangling",
        "dangling-low",
        "x" * 1000,
    ],
)
def test_a_name_that_means_nothing_is_unknown(requested):
    """No alias is followed twice."""
    with pytest.raises(UnknownModel) as caught:
        CATALOG.resolve(requested)
    assert (caught.value.status, caught.value.param) == (404, "model")
    assert len(caught.value.message) < 200


def test_names_are_what_callers_may_see():
    """Listed models, configured ones, and aliases that mean something."""
    names = CATALOG.names()
    assert names[:2] == ["gpt-5.6-sol", "gpt-5.6-terra"]
    assert "codex-auto-review" not in names
    assert names[-4:] == ["my-own", "my-own-high", "smart", "smartest"]
    assert len(names) == len(set(names))
    assert Catalog().names() == [card.slug for card in CARDS if card.listed]


def test_the_manifest_holds_what_the_caller_may_use():
    """Everything, if nothing is said."""
    everything = json.loads(CATALOG.manifest()[0])["models"]
    assert len(everything) == len(CARDS)
    some, etag = CATALOG.manifest(("gpt-5.5", "my-own"))
    assert [model["slug"] for model in json.loads(some)["models"]] == ["gpt-5.5"]
    assert etag != CATALOG.manifest()[1]


def test_models_are_listed_in_the_public_shape():
    """Exactly its four keys."""
    model = {"id": "m", "object": "model", "created": 5, "owned_by": "openai"}
    assert json.loads(list_body(["m"], created=5)) == {"object": "list", "data": [model]}
    assert json.loads(model_body("m", created=5)) == model


@pytest.mark.parametrize(
    ("requested", "model"),
    [
        ("claude-one", "a"),
        ("claude-one[1m]", "a"),
        ("claude-opus-9", "b"),
        ("claude-opus-9-thin", "a"),
        ("claude-sonnet", "c"),
        ("anything", "d"),
        ("b", "b"),
        ("alias", "a"),
    ],
)
def test_a_claude_models_name_is_looked_up_last(requested, model):
    """An exact name first, then the longest pattern; what has a meaning of its own keeps it."""
    claude = {
        "*": "d",
        "claude-*": "c",
        "claude-opus-*": "b",
        "claude-*-*-thin": "a",
        "claude-one": "a",
    }
    catalog = Catalog({"alias": "a"}, claude=claude | {"b": "a"}, configured=list("abcd"), cards=())
    assert catalog.resolve_claude(requested).model == model


def test_only_exact_claude_names_with_a_meaning_are_shown():
    """A pattern is no name."""
    catalog = Catalog(
        claude={"claude-1": "a", "claude-*": "a", "claude-2": "gone"}, configured=["a"]
    )
    assert catalog.claude_names() == ["claude-1"]
    with pytest.raises(UnknownModel):
        catalog.resolve_claude("claude-2")
    with pytest.raises(UnknownModel):
        catalog.resolve("claude-1")


def test_the_image_tool_is_held_by_a_model_that_can():
    """The first one that sees images and takes hosted tools; there may be none."""
    host = Catalog().image_host()
    assert host is not None
    assert (host.slug, host.lite, "image" in host.modalities) == ("gpt-5.5", False, True)
    assert Catalog(cards=()).image_host() is None


def test_a_plain_model_is_one_of_the_full_form():
    """Or none, where there is none."""
    assert Catalog().plain() == "gpt-5.5"
    assert Catalog(cards=()).plain() == ""
