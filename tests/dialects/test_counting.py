"""Requests are measured."""

import base64
import struct

import msgspec
import pytest

from app.dialects import counting
from app.dialects.counting import image_tokens, measured
from app.errors import InvalidRequest


def found(**fields):
    """Return the texts and the fixed tokens of a request."""
    measure = measured(msgspec.json.encode({"model": "m", **fields}))
    return measure.texts, measure.fixed - counting.REPLY_TOKENS


def said(*parts):
    """Return a message of these parts."""
    return {"type": "message", "role": "user", "content": list(parts)}


def png(width, height):
    """Return the beginning of a PNG as a data URL."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(9)
    return "data:image/png;base64," + base64.b64encode(head).decode()


@pytest.mark.parametrize(
    ("size", "detail", "tokens"),
    [
        # Measured on the API: gpt-5.5 with `auto`, and its successor with `high`.
        ((256, 256), "auto", 77),
        ((512, 512), "auto", 308),
        ((1_280, 720), "auto", 1_104),
        ((1_920, 1_080), "auto", 2_448),
        ((3_840, 2_160), "auto", 9_792),
        ((4_032, 3_024), "auto", 11_868),
        ((2_560, 1_440), "high", 2_931),
        ((3_840, 2_160), "high", 2_931),
        ((4_032, 3_024), "high", 2_942),
        ((1, 1), "auto", 2),
        ((100_000, 1), "high", 3_000),
        ((512, 512), "low", 308),
    ],
)
def test_an_image_costs_by_its_size(size, detail, tokens):
    """As patches, up to what its detail allows."""
    assert image_tokens(size, detail) == tokens


@pytest.mark.parametrize("detail", ["low", "high", "auto"])
@pytest.mark.parametrize("size", [(9_999, 3), (3, 9_999), (5_000, 5_000), (1_601, 1_599)])
def test_no_image_costs_more_than_its_detail_allows(size, detail):
    """Nor does one cost nothing."""
    patches_max = {"low": 256, "high": 2_500, "auto": 10_000}[detail]
    assert 0 < image_tokens(size, detail) <= 1.2 * patches_max + 1


def test_messages_and_what_is_in_them():
    """Each message has a cost of its own."""
    texts, fixed = found(
        instructions="i",
        input=[said({"type": "input_text", "text": "a"}), {"role": "user", "content": "b"}],
    )
    assert (texts, fixed) == (["i", "a", "b"], 3 * counting.MESSAGE_TOKENS)
    assert found(input="text") == (["text"], counting.MESSAGE_TOKENS)
    assert found(instructions="", input=[]) == ([], 0)


def test_calls_and_their_outputs():
    """Whatever form the output has."""
    texts, _ = found(
        input=[
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "o"},
            {"type": "function_call_output", "output": [{"type": "input_text", "text": "p"}]},
            {"type": "custom_tool_call", "name": "g", "input": "free"},
            {"type": "message", "content": [{"type": "refusal", "refusal": "no"}, 3]},
            3,
        ]
    )
    assert texts == ["f", "{}", "o", "p", "g", "free", "no"]


def test_images_and_documents():
    """By size, where it can be told; else as one of a usual size."""
    url = {"type": "input_image", "image_url": "https://e.org/a.png"}
    _, fixed = found(input=[said({"type": "input_image", "image_url": png(256, 256)}, url)])
    assert fixed == counting.MESSAGE_TOKENS + 77 + 1_229
    pdf = base64.b64encode(b"%PDF /Type /Page x /Type/Page /Type /Pages").decode()
    file = {"type": "input_file", "file_data": f"data:application/pdf;base64,{pdf}"}
    _, fixed = found(input=[said(file, {"type": "input_file", "file_url": "https://e.org/a.pdf"})])
    assert fixed == counting.MESSAGE_TOKENS + 3 * counting.PAGE_TOKENS


def test_a_photographs_size_may_stand_far_behind():
    """Its profile comes first."""
    frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 256, 256) + bytes(9)
    data = b"\xff\xd8\xff\xe1" + struct.pack(">H", 40_002) + bytes(40_000) + frame
    url = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    _, fixed = found(input=[said({"type": "input_image", "image_url": url, "detail": "high"})])
    assert fixed == counting.MESSAGE_TOKENS + 77


@pytest.mark.parametrize(
    "url", ["data:image/png;base64,@@@@", "data:image/png,x", 3, "x;base64,AA=="]
)
def test_an_image_that_can_not_be_read_counts_as_a_usual_one(url):
    """Nothing raises."""
    _, fixed = found(input=[said({"type": "input_image", "image_url": url})])
    assert fixed == counting.MESSAGE_TOKENS + 1_229


def test_tools_count_with_their_properties():
    """However deep they are, and wherever they stand."""
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "description": "d", "enum": ["x", "y"]},
            "b": {"type": "array", "items": {"type": "object", "properties": {"c": True}}},
        },
    }
    tools = [{"type": "function", "name": "f", "parameters": schema}, {"type": "web_search"}]
    texts, fixed = found(input=[], tools=tools)
    assert texts == ["f:", "a:string:d", "x", "y", "b:array:", "c::"]
    assert fixed == (
        counting.FUNCTIONS_TOKENS + counting.FUNCTION_TOKENS + counting.TOOL_TOKENS
        + 3 * counting.PROPERTY_TOKENS + 2 * counting.CHOICE_TOKENS
    )  # fmt: skip
    lite = [{"type": "additional_tools", "role": "developer", "tools": tools}]
    assert found(input=lite) == (texts, fixed + counting.MESSAGE_TOKENS)


def test_sealed_items_and_the_wanted_form():
    """A seal costs by its length, the form by its text."""
    texts, fixed = found(
        input=[{"type": "reasoning", "summary": [], "encrypted_content": "g" * 4_000}],
        text={"format": {"type": "json_schema", "schema": {"type": "object"}}},
    )
    assert texts == ['{"type":"object"}']
    assert fixed == counting.MESSAGE_TOKENS + (3_000 - 650) // 4


def test_a_number_that_nothing_can_hold_is_refused():
    """Wherever it stands."""
    with pytest.raises(InvalidRequest, match="request body: number out of range"):
        measured(b'{"input":[],"metadata":{"a":7e777}}')
