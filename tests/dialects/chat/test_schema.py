"""The form of a chat request."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.chat import schema
from app.dialects.chat.schema import ChatRequest

MINIMAL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(**fields):
    """Return the request that has `fields` beside the least."""
    return msgspec.json.decode(msgspec.json.encode(MINIMAL | fields), type=ChatRequest)


def test_every_optional_field_may_be_null():
    """The public API takes null for absent, and SDKs send it."""
    names = set(ChatRequest.__struct_fields__) - set(MINIMAL)
    request = read(**dict.fromkeys(names))
    assert request.temperature is None
    assert request.tools is None


@given(JSON)
def test_a_field_that_is_not_known_passes(value):
    """Whatever it holds."""
    read(x_unknown=value)


@pytest.mark.parametrize(
    "name",
    ["input", "instructions", "include", "text", "reasoning", "client_metadata", "thinking"],
)
@given(value=JSON)
def test_a_field_of_another_api_passes(name, value):
    """In an ordinary chat request it is unknown, so its form is nobody's business."""
    read(**{name: value})


def test_the_most_tools_allowed_is_the_upstreams():
    """128 pass, one more does not."""
    assert read(tools=[{}] * schema.TOOLS_MAX).tools
    with pytest.raises(msgspec.ValidationError):
        read(tools=[{}] * (schema.TOOLS_MAX + 1))
