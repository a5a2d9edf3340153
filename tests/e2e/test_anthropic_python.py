"""The official Anthropic client for Python: its calls, helpers and types work here unmodified.

The client is given nothing but another address. What it refuses to read is a defect of the gateway
even if the bytes look right. How it is told of failures is in `test_anthropic_python_errors.py`.
"""

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import anthropic
import pytest

from tests.e2e.asking import prompt
from tests.e2e.programs import API_KEY, MODEL, Gateway

CLAUDE = "claude-sonnet-5"
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
WEATHER = {"name": "get_weather", "description": "Tells the weather.", "input_schema": PLACE}
CLOCK = {"name": "get_time", "description": "Tells the time.", "input_schema": PLACE}
TOOLS = [WEATHER, CLOCK]
CORPUS = Path(__file__).parents[1] / "golden" / "tokens" / "corpus.json"
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


def test_tokens_are_counted_before_and_after(client, simulator) -> None:
    """The count comes close to what the upstream bills, and asks no account."""
    corpus = json.loads(CORPUS.read_text())
    for text in [one["text"] for one in corpus if one["tokens"] > 20]:
        asked = {"system": "You are brief.", "messages": _say(text), "tools": TOOLS}
        count = client.messages.count_tokens(model=CLAUDE, **asked).input_tokens
        assert simulator.records == []
        usage = client.messages.create(model=CLAUDE, max_tokens=100, **asked).usage
        billed = usage.input_tokens + usage.cache_read_input_tokens
        assert abs(count - billed) <= 0.02 * billed, text
        simulator.wait_for_records(1)
        simulator.mark()


def test_an_image_is_counted_by_its_size(client) -> None:
    """Not by how many letters its base64 has."""

    def count(width: int, height: int) -> int:
        data = base64.b64encode(picture(width, height)).decode()
        source = {"type": "base64", "media_type": "image/png", "data": data}
        content = [{"type": "image", "source": source}]
        messages = [{"role": "user", "content": content}]
        return client.messages.count_tokens(model=CLAUDE, messages=messages).input_tokens

    assert count(1024, 1024) - count(32, 32) == 1229 - 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("parallel", [True, False])
def test_tools_are_called_in_parallel_if_allowed(client, stream, parallel) -> None:
    """Several calls have an id and an input each; one is all there is if that was asked for."""
    choice = {"type": "auto", "disable_parallel_tool_use": not parallel}
    answer = _asked(
        client,
        stream=stream,
        messages=_say(prompt("Use tools in parallel.")),
        tools=TOOLS,
        tool_choice=choice,
    )
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert len({call.id for call in calls}) == len(calls) == (2 if parallel else 1)
    assert [call.name for call in calls] == ["get_weather", "get_time"][: len(calls)]
    assert all(call.input for call in calls)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", [{"type": "tool", "name": "get_time"}, {"type": "any"}])
def test_a_tool_can_be_demanded(client, stream, choice) -> None:
    """Though the text does not ask for it."""
    answer = _asked(
        client,
        stream=stream,
        messages=_say(prompt("Hello.")),
        tools=[CLOCK],
        tool_choice=choice,
    )
    assert [block.name for block in answer.content if block.type == "tool_use"] == ["get_time"]
    assert answer.stop_reason == "tool_use"


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_shown_sealed_and_brought_back(client, simulator, stream) -> None:
    """The seal goes to the account that made it, and what it has sealed is what it gets."""
    messages = _say(prompt("How is the weather in Bergen?"))
    asked = {"tools": TOOLS, "thinking": THINKING, "max_tokens": 4_000}
    first = _asked(client, stream=stream, messages=messages, **asked)
    thought, call = first.content
    assert (thought.type, bool(thought.thinking), bool(thought.signature)) == (
        "thinking",
        True,
        True,
    )
    assert first.usage.output_tokens_details.thinking_tokens > 0
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "7 degrees"}
    messages += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    second = _asked(client, stream=stream, messages=messages, **asked)
    assert second.content[-1].text == "The tool answered: 7 degrees"
    accounts = [record["account"] for record in simulator.wait_for_records(2)]
    assert accounts[0] == accounts[1]
    assert simulator.violations == []


def test_thinking_never_reaches_another_account(start) -> None:
    """Where the account that made the seal is away, the turn goes on without it."""
    pair = start(accounts=2)
    with anthropic.Anthropic(api_key=API_KEY, base_url=pair.gateway.url, max_retries=0) as client:
        messages = _say(prompt("How is the weather in Bergen?"))
        asked = {"tools": TOOLS, "thinking": THINKING, "max_tokens": 4_000}
        first = _asked(client, stream=True, messages=messages, **asked)
        [one] = pair.simulator.wait_for_records(1)
        limited = {"fault": "429_usage_limit"}
        pair.simulator.control(accounts={one["account"]: limited})
        result = {
            "type": "tool_result",
            "tool_use_id": first.content[-1].id,
            "content": "7 degrees",
        }
        messages += [
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        second = _asked(client, stream=True, messages=messages, **asked)
        assert second.content[-1].text == "The tool answered: 7 degrees"
        records = pair.simulator.wait_for_records(3)
        assert [record["status"] for record in records] == [200, 429, 200]
        assert records[2]["account"] != one["account"]
        assert pair.simulator.violations == []


@pytest.mark.parametrize("stream", [False, True])
def test_pictures_are_seen(client, stream) -> None:
    """Every byte of a picture arrives, also of one that a tool has made."""
    data = picture()
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(data).decode()}
    image = {"type": "image", "source": source}
    content = [{"type": "text", "text": prompt("What is this?")}, image]
    answer = _asked(client, stream=stream, messages=[{"role": "user", "content": content}])
    assert answer.content[0].text == f"I see an image of {len(data)} bytes."
    messages = _say(prompt("How is the weather in Bergen?"))
    first = _asked(client, stream=stream, messages=messages, tools=TOOLS)
    shown = [{"type": "text", "text": "as on this picture"}, image]
    result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": shown}
    messages += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    second = _asked(client, stream=stream, messages=messages, tools=TOOLS)
    assert second.content[-1].text == "The tool answered: as on this picture"


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence_ends_the_answer(client, stream) -> None:
    """Wherever the upstream cuts its text."""
    answer = _asked(
        client,
        stream=stream,
        messages=_say("echo: one two three END four"),
        stop_sequences=["never", "END"],
    )
    assert answer.content[0].text == "one two three "
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "END")


def test_structured_output_follows_its_schema(client) -> None:
    """The text is JSON of that form."""
    schema = {**PLACE, "additionalProperties": False}
    answer = client.messages.create(
        model=CLAUDE,
        max_tokens=100,
        messages=_say(prompt("Name a place.")),
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert json.loads(answer.content[0].text).keys() == PLACE["properties"].keys()


def test_a_search_is_told_with_its_pages(client) -> None:
    """As blocks that the client knows, and a citation at the text."""
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    answer = _asked(
        client, stream=True, messages=_say(prompt("Please search for Bergen.")), tools=[tool]
    )
    kinds = [block.type for block in answer.content]
    assert kinds == ["server_tool_use", "web_search_tool_result", "text"]
    assert answer.content[2].citations[0].url == "https://example.org/"
    assert answer.usage.server_tool_use.web_search_requests == 1


def test_the_beta_client_works_too(client) -> None:
    """It asks with `?beta=true` and with betas that nobody here knows."""
    asked = {"model": CLAUDE, "max_tokens": 100, "messages": _say("echo: beta")}
    betas = ["context-management-2025-06-27", "a-beta-of-tomorrow-2027-01-01"]
    answer = client.beta.messages.create(betas=betas, **asked)
    assert answer.content[0].text == "beta"
    with client.beta.messages.stream(betas=betas, **asked) as stream:
        assert stream.get_final_text() == "beta"
    counted = client.beta.messages.count_tokens(model=CLAUDE, messages=asked["messages"])
    assert counted.input_tokens > 0


def test_the_request_id_is_where_the_client_looks(client) -> None:
    """In a header of its own."""
    answer = client.messages.create(model=CLAUDE, max_tokens=9, messages=_say("echo: id"))
    assert answer._request_id.startswith("req_")


@pytest.mark.parametrize("key", ["api_key", "auth_token"])
def test_both_kinds_of_key_are_taken(gateway, key) -> None:
    """`x-api-key` and `Authorization: Bearer`."""
    given = {"api_key": None, "auth_token": None, key: API_KEY}
    with anthropic.Anthropic(base_url=gateway.url, max_retries=0, **given) as client:
        answer = client.messages.create(model=CLAUDE, max_tokens=9, messages=_say("echo: hi"))
        assert answer.content[0].text == "hi"


def test_models_are_listed(client) -> None:
    """Page by page; each can be retrieved by its id."""
    listed = [model.id for model in client.models.list(limit=2)]
    assert MODEL in listed
    assert len(listed) > 2
    assert [client.models.retrieve(name).id for name in listed] == listed


def test_silence_is_filled_with_pings(start) -> None:
    """The client skips them; a comment would do for nobody who counts silence by events."""
    pair = start(accounts=1, limits={"keepalive_s": 0.05, "commit_after_s": 0.05})
    body = {"model": CLAUDE, "max_tokens": 9, "stream": True}
    body["messages"] = _say(prompt("echo: at last", ttft_ms=400))
    raw = pair.gateway.client.post("/v1/messages", json=body).content
    assert raw.count(b'event: ping\ndata: {"type":"ping"}\n\n') >= 2
    assert b": keep-alive" not in raw
    with anthropic.Anthropic(api_key=API_KEY, base_url=pair.gateway.url, max_retries=0) as client:
        answer = _asked(client, stream=True, messages=_say(prompt("echo: at last", ttft_ms=400)))
        assert answer.content[0].text.startswith("at last")


def test_the_asynchronous_client_works_too(gateway) -> None:
    """Several calls of one client at a time each get their own answer."""

    async def talk() -> None:
        async with anthropic.AsyncAnthropic(
            api_key=API_KEY, base_url=gateway.url, max_retries=0
        ) as client:

            async def one(number: int) -> str:
                asked = {"model": CLAUDE, "max_tokens": 9}
                asked["messages"] = _say(f"echo: number {number}")
                async with client.messages.stream(**asked) as stream:
                    return await stream.get_final_text()

            said = await asyncio.gather(*map(one, range(8)))
            assert said == [f"number {number}" for number in range(8)]

    asyncio.run(talk())
