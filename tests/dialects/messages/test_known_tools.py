"""The tools that callers run are functions with sound schemas."""

from app.dialects.chat.parameters import clean
from app.dialects.messages.known_tools import KNOWN


def test_every_schema_is_an_object_that_needs_no_cleaning():
    """Its required fields are there."""
    for description, schema in KNOWN.values():
        assert description.endswith(".")
        assert clean(schema) == schema
        assert set(schema["required"]) <= set(schema["properties"])
