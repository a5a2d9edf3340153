"""A Responses body at the chat address."""

import msgspec
import pytest

from app.dialects.chat.requests import decode
from app.dialects.chat.responses_shaped import is_responses_shaped, to_fields
from app.errors import CallerError, InvalidRequest

ENCRYPTED = ["reasoning.encrypted_content"]


def request(**fields):
    """Return a request with `fields`."""
    return decode(msgspec.json.encode({"model": "m"} | fields))


@pytest.mark.parametrize(
    ("fields", "shaped"),
    [
        ({"input": "Hi"}, True),
        ({"instructions": "Be kind."}, True),
        ({"input": [], "messages": None}, True),
        ({}, False),
        ({"messages": [{"role": "user", "content": "Hi"}], "input": "Hi"}, False),
    ],
)
def test_it_is_known_by_its_input(fields, shaped):
    """Messages win where both are there."""
    assert is_responses_shaped(request(**fields)) is shaped


def test_a_text_is_a_user_message():
    """The upstream takes a list only."""
    assert to_fields(request(input="Hi")) == {
        "instructions": "",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hi"}],
            }
        ],
        "include": ENCRYPTED,
    }


def test_its_own_fields_are_copied():
    """Encrypted reasoning is always asked for, once."""
    fields = to_fields(
        request(
            input=[],
            instructions="Be kind.",
            include=["x", *ENCRYPTED],
            text={"verbosity": "low"},
            client_metadata={"a": "b"},
            previous_response_id=None,
        )
    )
    assert fields == {
        "instructions": "Be kind.",
        "input": [],
        "include": ["x", *ENCRYPTED],
        "text": {"verbosity": "low"},
        "client_metadata": {"a": "b"},
    }


def test_items_are_changed_only_where_the_upstream_would_refuse_them():
    """Roles, ids and lengths; what is new passes."""
    long = "x" * 80
    items = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi", "id": "msg_1"},
        {"type": "function_call", "id": "xyz", "call_id": long, "name": long, "arguments": "{}"},
        {"type": "function_call_output", "call_id": long, "output": "ok"},
        {"type": "item_reference", "id": "rs_1"},
        {"type": "something_new", "whatever": 5},
    ]
    said = to_fields(request(input=items))["input"]
    assert said[0] == {"type": "message", "role": "developer", "content": "Be kind."}
    assert said[1] == {"type": "message", "role": "user", "content": "Hi"}
    assert "id" not in said[2]
    assert len(said[2]["name"]) == 64
    assert said[2]["call_id"] == said[3]["call_id"]
    assert said[4:] == items[4:]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"instructions": "x"}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": "x", "instructions": 5}, "instructions"),
        ({"input": "x", "include": [5]}, "include[0]"),
        ({"input": "x", "text": "short"}, "text"),
    ],
)
def test_a_wrong_field_is_named(fields, param):
    """Here they are known fields."""
    with pytest.raises(InvalidRequest) as caught:
        to_fields(request(**fields))
    assert caught.value.param == param


def test_a_response_that_is_not_stored_can_not_be_continued():
    """It is never dropped in silence."""
    with pytest.raises(CallerError) as caught:
        to_fields(request(input="x", previous_response_id="resp_1"))
    assert (caught.value.status, caught.value.code) == (409, "response_context_unavailable")
