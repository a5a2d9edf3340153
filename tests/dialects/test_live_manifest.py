"""The upstream's manifest is passed on as it is spelled, and read whatever it holds."""

import json

import pytest

from app.dialects.catalog import EFFORT_SUFFIXES, Catalog
from app.dialects.live_manifest import (
    ENTRIES_MAX,
    ManifestUnreadable,
    cards,
    etag_of,
    overlaid,
    relayed,
    restricted,
)
from app.dialects.manifest import CARDS, Card, manifest_body

SOL = (
    b'{"slug": "gpt-6.1-sol", "new_key": {"a" : [1.50, 1e3, "\\u00e9"]}, '
    b'"prefer_websockets": true, "priority": 1}'
)
LUNA = b'{"slug":"luna","prefer_websockets":false,"base_instructions":"\xc3\xa9 \\n"}'
BODY = b'{"models": [' + SOL + b", " + LUNA + b'], "more": {"x" : 1.0}}'


def card(**entry: object) -> Card:
    """Return the card of one entry."""
    [found] = cards(json.dumps({"models": [{"slug": "m", **entry}]}).encode())
    return found


def test_only_the_wish_for_websockets_is_changed():
    """Every other value keeps its bytes: numbers, escapes, blanks, keys that nobody knows."""
    body = relayed(BODY)
    assert b'"prefer_websockets":false' in body
    assert b"true" not in body
    assert b'"new_key":{"a" : [1.50, 1e3, "\\u00e9"]}' in body
    assert LUNA in body
    assert b'"more":{"x" : 1.0}' in body
    wanted = json.loads(BODY)
    wanted["models"][0]["prefer_websockets"] = False
    assert json.loads(body) == wanted


def test_what_needs_no_change_is_the_upstreams_own_bytes():
    """Not even the blanks between entries are touched."""
    body = b'{ "models" : [ ' + LUNA + b" ] }"
    assert relayed(body) is body


def test_an_entry_that_says_nothing_of_websockets_is_told():
    """Nobody has to know what a client supposes then; what is no entry stays what it is."""
    body = json.loads(relayed(b'{"models":[{"slug":"m"},null]}'))
    assert body == {"models": [{"slug": "m", "prefer_websockets": False}, None]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"models":{}}',
        b'{"data":[]}',
        b'{"models":[]}',
        b'{"models":[' + b"[" * 200_000,
        b'{"models":[' + b",".join([b"{}"] * (ENTRIES_MAX + 1)) + b"]}",
    ],
)
def test_what_is_no_manifest_is_not_passed_on(body):
    """Clients would lose all their models."""
    with pytest.raises(ManifestUnreadable):
        relayed(body)


def test_a_restricted_caller_sees_its_models_alone():
    """Spelled as they were, under an ETag of their own."""
    body, etag = restricted(BODY, ("luna", "nothing"))
    assert body == b'{"models":[' + LUNA + b'],"more":{"x" : 1.0}}'
    assert etag == etag_of(body) != etag_of(BODY)
    assert json.loads(restricted(b'{"models":[null,{"slug":1}]}', ("m", ""))[0]) == {"models": []}


def test_a_card_says_what_the_entry_says():
    """The gateway's own manifest, read like a live one, gives the cards that it was made of."""
    assert tuple(cards(manifest_body()[0])) == CARDS


def test_what_an_entry_leaves_out_is_as_for_any_model():
    """Without a list of efforts any known effort passes; with an empty one none does."""
    found = card()
    assert (found.name, found.description, found.lite, found.listed) == ("m", "", False, True)
    assert found.efforts == EFFORT_SUFFIXES
    assert found.default_effort == "medium"
    assert (found.context_window, found.context_window_max) == (272_000, 272_000)
    assert card(supported_reasoning_levels=[]).efforts == ()
    only = card(supported_reasoning_levels=[{"effort": "turbo"}, {"effort": 1}, {}])
    assert (only.efforts, only.default_effort) == (("turbo",), "turbo")


@pytest.mark.parametrize("odd", [None, 1.5, -1, "x", [1], {"a": 1}, 10**30])
def test_an_odd_value_is_as_if_left_out(odd):
    """Of each field: what the upstream invents tomorrow takes no model away."""
    names = [
        "default_reasoning_level",
        "use_responses_lite",
        "priority",
        "context_window",
        "max_context_window",
        "supported_reasoning_levels",
        "input_modalities",
        "available_in_plans",
        "additional_speed_tiers",
    ]
    assert card(**dict.fromkeys(names, odd)) == card()


def test_an_entry_without_a_usable_name_teaches_nothing():
    """The others still do."""
    entries = [{}, None, 3, {"slug": ""}, {"slug": "a b"}, {"slug": "x" * 200}, {"slug": "good"}]
    assert [one.slug for one in cards(json.dumps({"models": entries}).encode())] == ["good"]


def test_a_learnt_card_takes_the_place_of_the_built_in_one():
    """And a new one stands beside them; a catalogue of them knows all."""
    learnt = [card(slug="gpt-5.5", priority=9), card(supported_reasoning_levels=[{"effort": "z"}])]
    both = overlaid(CARDS, learnt)
    assert len(both) == len(CARDS) + 1
    catalog = Catalog(cards=both)
    assert catalog.resolve("m").card == learnt[1]
    assert catalog.resolve("gpt-5.5").card == learnt[0]
    assert json.loads(catalog.manifest(("m",))[0])["models"][0]["supported_reasoning_levels"] == [
        {"effort": "z", "description": "z"}
    ]
