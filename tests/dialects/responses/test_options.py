"""Options are said as the backend hears them, and left alone where they are right."""

import json

import msgspec
import pytest
from msgspec import UNSET, Raw

from app.dialects.responses.options import changed, json_mode, named_effort, stream_options
from app.dialects.responses.schema import Fields, Request
from app.errors import InvalidRequest


def fields_of(**fields: object) -> tuple[Fields, Request]:
    """Return a request's raw and its checked fields."""
    body = json.dumps({"model": "m"} | fields).encode()
    return msgspec.json.decode(body, type=dict[str, Raw]), msgspec.json.decode(body, type=Request)


def sent(name: str, *, efforts: tuple[str, ...] | None = None, **fields: object) -> object:
    """Return what is sent for one option: decoded, "same" if untouched, None if nothing."""
    raw, request = fields_of(**fields)
    value = changed(raw, request, efforts=efforts)[name]
    if value is UNSET:
        return None
    return "same" if value is raw.get(name) else json.loads(msgspec.json.encode(value))


WANTED = "reasoning.encrypted_content"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [WANTED]),
        ({"include": None}, [WANTED]),
        ({"include": ["a"]}, ["a", WANTED]),
        ({"include": ["a", WANTED]}, "same"),
    ],
)
def test_encrypted_reasoning_is_always_included(given, expected):
    """Without it the next turn would have no thoughts."""
    assert sent("include", **given) == expected


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        (None, None),
        ("auto", None),
        ("default", None),
        ("flex", None),
        ("scale", None),
        ("fast", "priority"),
        ("priority", "same"),
        ("ultrafast", "same"),
    ],
)
def test_a_tier_is_sent_if_the_backend_has_it(tier, expected):
    """Its own words pass, public ones are dropped."""
    assert sent("service_tier", service_tier=tier) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"reasoning": {"summary": "auto"}}, "same"),
        ({"reasoning": {"effort": "low", "new": 1}}, "same"),
        ({"reasoning": {"effort": "ultra", "new": 1}}, {"effort": "max", "new": 1}),
        ({"reasoning_effort": "low"}, {"effort": "low"}),
        ({"reasoning_effort": "low", "reasoning": None}, {"effort": "low"}),
        (
            {"reasoning_effort": "low", "reasoning": {"summary": "auto"}},
            {"summary": "auto", "effort": "low"},
        ),
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, "same"),
    ],
)
def test_an_effort_is_said_in_reasoning(given, expected):
    """Chat's spelling counts where there is no other."""
    assert sent("reasoning", **given) == expected
    assert sent("reasoning", efforts=("low", "high", "ultra"), **given) == expected


@pytest.mark.parametrize(
    ("given", "efforts", "param"),
    [
        ({"reasoning": {"effort": "max"}}, ("high", "low"), "reasoning.effort"),
        ({"reasoning_effort": "none"}, ("high", "low"), "reasoning_effort"),
        ({"reasoning_effort": "low"}, (), "reasoning_effort"),
    ],
)
def test_an_effort_that_the_model_lacks_is_refused(given, efforts, param):
    """With those that it has, from the least to the most."""
    with pytest.raises(InvalidRequest) as caught:
        sent("reasoning", efforts=efforts, **given)
    assert caught.value.param == param
    assert not efforts or "Supported values are: low, high." in caught.value.message


def test_an_effort_in_the_models_name_is_said_in_reasoning():
    """It is checked like one in the request."""
    assert named_effort(Raw(b'{"summary":"auto"}'), "ultra", efforts=None) == {
        "summary": Raw(b'"auto"'),
        "effort": "max",
    }
    with pytest.raises(InvalidRequest) as caught:
        named_effort(UNSET, "max", efforts=("low",))
    assert caught.value.param == "model"


SCHEMA = {"name": "n", "schema": {"type": "object"}, "strict": True, "new": 1}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"text": {"verbosity": "low"}, "verbosity": "high"}, "same"),
        ({"text": {"new": 1}, "verbosity": "high"}, {"new": 1, "verbosity": "high"}),
        ({"text": None, "verbosity": "high"}, {"verbosity": "high"}),
        ({"text": {"format": {"type": "json_schema", **SCHEMA}}}, "same"),
        ({"response_format": {"type": "text"}}, {"format": {"type": "text"}}),
        ({"response_format": None}, None),
        (
            {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
            {"format": {"type": "json_schema", **SCHEMA}},
        ),
        (
            {"response_format": {"type": "json_object"}, "text": {"format": {"type": "text"}}},
            "same",
        ),
    ],
)
def test_the_form_of_the_answer_is_said_in_text(given, expected):
    """Chat's spellings count where there are no others."""
    assert sent("text", **given) == expected


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": 5}, "response_format"),
    ],
)
def test_a_form_without_its_schema_is_refused(given, param):
    """And so is one that isn't any."""
    with pytest.raises(InvalidRequest) as caught:
        sent("text", **given)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, False),
        ({"text": {}}, False),
        ({"text": {"format": {"type": "json_object"}}}, True),
        ({"response_format": {"type": "json_object"}}, True),
        ({"response_format": {"type": "text"}}, False),
        (
            {"response_format": {"type": "json_object"}, "text": {"format": {"type": "text"}}},
            False,
        ),
    ],
)
def test_json_mode_is_known_in_both_spellings(given, wanted):
    """The Responses spelling decides."""
    assert json_mode(fields_of(**given)[1]) is wanted


FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        (None, "same"),
        ([], "same"),
        ([FUNCTION, {"type": "custom", "name": "c"}], "same"),
        ([{"type": "web_search_preview_2025_03_11", "a": 1}], [{"type": "web_search", "a": 1}]),
        ([{"type": "function", "name": "f", "parameters": None, "strict": True}, FUNCTION], None),
    ],
)
def test_tools_are_sent_as_the_backend_knows_them(tools, expected):
    """Right ones keep their bytes."""
    if expected is None:
        expected = [{**FUNCTION, "strict": True}, FUNCTION]
    assert sent("tools", tools=tools) == expected


def test_a_schema_loses_what_the_backend_refuses():
    """And nothing else."""
    parameters = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
    tool = {"type": "function", "name": "f", "parameters": parameters, "new": 1}
    cleaned = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert sent("tools", tools=[tool]) == [{**tool, "parameters": cleaned}]


def test_a_number_that_nothing_can_hold_is_refused():
    """A tool's parameters may say anything, but it must be readable."""
    body = b'{"model":"m","tools":[{"type":"x"},{"type":"function","parameters":{"a":[7e777]}}]}'
    raw = msgspec.json.decode(body, type=dict[str, Raw])
    with pytest.raises(InvalidRequest, match="number out of range") as caught:
        changed(raw, msgspec.json.decode(body, type=Request), efforts=None)
    assert caught.value.param == "tools[1].parameters[...][0]"


def test_no_tools_are_no_tools():
    """A field that isn't there isn't made."""
    assert sent("tools") is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"stream_options": None}, None),
        ({"stream_options": {"include_usage": True}}, None),
        ({"stream_options": {"reasoning_summary_delivery": "sequential_cutoff"}}, "same"),
        (
            {"stream_options": {"include_usage": True, "reasoning_summary_delivery": "x"}},
            {"reasoning_summary_delivery": "x"},
        ),
    ],
)
def test_one_stream_option_is_the_backends(given, expected):
    """The others are the public API's."""
    raw, _ = fields_of(**given)
    value = stream_options(raw)
    if value is UNSET:
        assert expected is None
    elif value is raw["stream_options"]:
        assert expected == "same"
    else:
        assert json.loads(msgspec.json.encode(value)) == expected
