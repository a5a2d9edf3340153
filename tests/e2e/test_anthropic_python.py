"""The official Anthropic client for Python: its calls, helpers and types work here unmodified.

The client is given nothing but another address. What it refuses to read is a defect of the gateway
even if the bytes look right.
"""

import struct
import zlib
from collections.abc import Iterator

import anthropic
import pytest

from tests.e2e.asking import prompt
from tests.e2e.programs import API_KEY, Gateway

CLAUDE = "claude-sonnet-5"
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
WEATHER = {"name": "get_weather", "description": "Tells the weather.", "input_schema": PLACE}
CLOCK = {"name": "get_time", "description": "Tells the time.", "input_schema": PLACE}
TOOLS = [WEATHER, CLOCK]
THINKING = {"type": "enabled", "budget_tokens": 2_048}


def picture(width: int = 40, height: int = 30) -> bytes:
    """Return a real PNG, all of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x20\x80\xff" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def client(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    """The client as its users make it, but for the address; it retries nothing in secret."""
    with anthropic.Anthropic(api_key=API_KEY, base_url=gateway.url, max_retries=0) as client:
        yield client


def _say(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def _asked(client: anthropic.Anthropic, *, stream: bool, **options):
    """Return a message, in one piece or gathered from a stream by the client's helper."""
    options = {"model": CLAUDE, "max_tokens": 1_000, **options}
    if not stream:
        return client.messages.create(**options)
    with client.messages.stream(**options) as events:
        return events.get_final_message()


@pytest.mark.parametrize("stream", [False, True])
def test_a_message_is_answered(client, stream) -> None:
    """Text, end, the model's name as it was asked for, id and usage are there."""
    answer = _asked(client, stream=stream, messages=_say("echo: Grüße aus Bergen"))
    [block] = answer.content
    assert (block.type, block.text) == ("text", "Grüße aus Bergen")
    assert (answer.stop_reason, answer.role, answer.model) == ("end_turn", "assistant", CLAUDE)
    assert answer.id.startswith("msg_")
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0


def test_a_message_streams(client) -> None:
    """The helper's text is the answer, and its events come in Anthropic's order."""
    with client.messages.stream(
        model=CLAUDE, max_tokens=100, messages=_say("echo: streamed")
    ) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_text() == "streamed"
    raw = [kind for kind in kinds if kind.startswith(("message", "content"))]
    assert raw[:2] == ["message_start", "content_block_start"]
    assert raw[-3:] == ["content_block_stop", "message_delta", "message_stop"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_goes_there_and_back(client, stream) -> None:
    """The call's input fits the schema, and the answer to its result comes in a second turn."""
    messages = _say(prompt("How is the weather in Bergen?"))
    first = _asked(client, stream=stream, messages=messages, tools=TOOLS)
    assert first.stop_reason == "tool_use"
    [call] = [block for block in first.content if block.type == "tool_use"]
    assert call.name == "get_weather"
    assert call.input.keys() == PLACE["properties"].keys()
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "7 degrees"}
    messages += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    second = _asked(client, stream=stream, messages=messages, tools=TOOLS)
    assert second.content[-1].text == "The tool answered: 7 degrees"
    assert second.stop_reason == "end_turn"
