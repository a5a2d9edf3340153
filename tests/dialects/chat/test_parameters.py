"""Schemas as the backend takes them."""

from hypothesis import given
from hypothesis import strategies as st

from app.dialects.chat.parameters import clean

KEYS = st.sampled_from(
    ["type", "format", "pattern", "properties", "items", "anyOf", "enum", "$defs", "x", "not"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["array", "object", "string"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


def test_nothing_is_an_object_without_properties():
    """A function without parameters still needs a schema."""
    assert clean(None) == {"type": "object", "properties": {}}
    assert clean({}) == {"type": "object", "properties": {}}
    assert clean({"type": None, "properties": {"a": {}}}) == {
        "type": "object",
        "properties": {"a": {}},
    }


def test_refused_keywords_go_at_every_depth():
    """Wherever a schema stands, and nowhere else."""
    schema = {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "when": {"type": "string", "format": "date", "pattern": "^x", "minLength": 1},
            "many": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
            "either": {"anyOf": [{"type": "number", "multipleOf": 2}, True]},
        },
        "additionalProperties": {"type": "string", "maxLength": 3},
        "$defs": {"leaf": {"type": "string", "format": "uri"}},
    }
    assert clean(schema) == {
        "type": "object",
        "properties": {
            "when": {"type": "string"},
            "many": {"type": "array", "items": {"type": "integer"}},
            "either": {"anyOf": [{"type": "number"}, True]},
        },
        "additionalProperties": {"type": "string"},
        "$defs": {"leaf": {"type": "string"}},
    }


def test_a_property_may_have_a_keyword_for_a_name():
    """`format` and `pattern` are data there, and so are they in enum, const and default."""
    schema = {
        "type": "object",
        "properties": {"format": {"type": "string"}, "pattern": {"type": "string"}},
        "required": ["format", "pattern"],
        "default": {"format": "x", "minimum": 3},
        "enum": [{"pattern": "y"}],
    }
    assert clean(schema) == schema


def test_an_array_gets_items():
    """Also one that may be null."""
    schema = {"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": ["array"]}}}
    cleaned = clean(schema)["properties"]
    assert cleaned == {"a": {"type": "array", "items": {}}, "b": {"type": ["array"], "items": {}}}


def test_a_root_of_another_type_is_left_to_the_upstream():
    """It is wrong, and the upstream says so best."""
    assert clean({"type": "string"}) == {"type": "string"}


def test_properties_of_a_strange_form_are_left_alone():
    """What is no mapping has no schemas below it."""
    assert clean({"type": "object", "properties": 5}) == {"type": "object", "properties": 5}


def test_no_schema_is_too_deep():
    """The walk keeps its own stack."""
    schema: dict = {}
    for _ in range(50_000):
        schema = {"items": schema}
    clean(schema)
    while schema:  # Taken apart by hand, or collecting it would recurse.
        schema = schema.pop("items")


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_cleaning_twice_changes_nothing(schema):
    """And the given schema is not touched."""
    before = repr(schema)
    once = clean(schema)
    assert clean(once) == once
    assert repr(schema) == before
