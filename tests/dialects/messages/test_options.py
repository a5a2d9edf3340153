"""Effort, form and tuning."""

import msgspec
import pytest

from app.dialects.messages.options import fitting_effort, shown, tuning
from tests.dialects.messages.asking import request, upstream

ENABLED = {"type": "enabled"}


@pytest.mark.parametrize(
    ("fields", "effort", "summary"),
    [
        ({}, None, None),
        ({"thinking": {"type": "disabled"}}, "low", None),
        ({"thinking": ENABLED | {"budget_tokens": 1024}}, "low", "auto"),
        ({"thinking": ENABLED | {"budget_tokens": 8192}}, "medium", "auto"),
        ({"thinking": ENABLED | {"budget_tokens": 24576}}, "high", "auto"),
        ({"thinking": ENABLED | {"budget_tokens": 24577}}, "xhigh", "auto"),
        ({"thinking": ENABLED}, "high", "auto"),
        ({"thinking": {"type": "adaptive"}}, "high", "auto"),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, "high", None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low", "auto"),
        ({"output_config": {"effort": "max"}}, "xhigh", None),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}, "low", None),
    ],
)
def test_thinking_becomes_an_effort(fields, effort, summary):
    """The nearest one that the model has."""
    reasoning = upstream(**fields).get("reasoning", {})
    assert (reasoning.get("effort"), reasoning.get("summary")) == (effort, summary)


@pytest.mark.parametrize(
    ("effort", "efforts", "fitting"),
    [
        ("max", None, "max"),
        ("max", ("low", "high"), "high"),
        ("medium", ("low", "high"), "low"),
        ("none", ("none", "low"), "none"),
        ("none", ("low",), "low"),
        ("low", (), None),
    ],
)
def test_the_nearest_effort(effort, efforts, fitting):
    """From below, else the lowest, else none at all."""
    assert fitting_effort(effort, efforts) == fitting


def test_how_much_is_shown():
    """Only who asks gets thoughts."""
    assert shown(request()) == "nothing"
    assert shown(request(thinking={"type": "disabled"})) == "nothing"
    assert shown(request(thinking={"type": "adaptive", "display": "omitted"})) == "seals"
    assert shown(request(thinking={"type": "adaptive"})) == "all"


def test_what_only_tunes_is_kept_for_those_who_heed_it():
    """Under the names of Responses."""
    asked = request(temperature=0.5, top_p=0.9, top_k=3)
    assert msgspec.json.decode(tuning(asked)) == {
        "max_output_tokens": 10, "temperature": 0.5, "top_p": 0.9,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {}, "required": [], "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        (
            {
                "type": "object",
                "properties": {"a": {}},
                "required": [],
                "additionalProperties": False,
            },
            False,
        ),
        ({"anyOf": [{"type": "object", "properties": {}}]}, False),
    ],
)
def test_only_a_closed_schema_is_strict(schema, strict):
    """Responses refuses any other."""
    form = {"type": "json_schema", "schema": schema}
    said = upstream(output_config={"format": form})["text"]["format"]
    assert (said["strict"], said["schema"]) == (strict, schema)


def test_speed_is_a_tier():
    """The standard one is not asked for."""
    assert upstream(speed="fast")["service_tier"] == "priority"
    assert "service_tier" not in upstream(speed="standard")
