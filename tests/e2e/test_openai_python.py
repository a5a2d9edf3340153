"""The official Python client: its calls, helpers and types work here as they do on the API.

The client is given nothing but another address. What it refuses to read is a defect of the gateway
even if the bytes look right. How it is told of failures is in `test_openai_python_errors.py`.
"""

import asyncio
import base64
import json
from collections.abc import Iterator

import openai
import pytest
from pydantic import BaseModel

from tests.e2e.asking import prompt
from tests.e2e.programs import API_KEY, MODEL, Gateway

PIXELS = b"\x89PNG\r\n\x1a\n" + bytes(59)
PICTURE = f"data:image/png;base64,{base64.b64encode(PIXELS).decode()}"
SEEN = f"I see an image of {len(PIXELS)} bytes."
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = {"name": "get_weather", "description": "Tells the weather.", "parameters": PLACE}
CLOCK = {"name": "get_time", "description": "Tells the time.", "parameters": PLACE}
CHAT_TOOLS = [{"type": "function", "function": WEATHER}, {"type": "function", "function": CLOCK}]
TOOLS = [{"type": "function", **WEATHER}, {"type": "function", **CLOCK}]


class Trip(BaseModel):
    """What structured output is to look like."""

    city: str
    nights: int
    by_train: bool


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The client as its users make it, but for the address; it retries nothing in secret."""
    with openai.OpenAI(api_key=API_KEY, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        yield client


def _say(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def test_a_chat_completion_is_answered(client) -> None:
    """Text, end, model, id and usage are where the client's type has them."""
    answer = client.chat.completions.create(
        model=MODEL, messages=_say("echo: Grüße aus Bergen"), max_completion_tokens=100
    )
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "Grüße aus Bergen")
    assert (choice.finish_reason, answer.model, answer.object) == ("stop", MODEL, "chat.completion")
    assert answer.id.startswith("chatcmpl-")
    usage = answer.usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_chat_completion_streams(client) -> None:
    """The deltas make the text, there is one end, and no usage that nobody asked for."""
    stream = client.chat.completions.create(
        model=MODEL, messages=_say("echo: Grüße aus Bergen"), stream=True
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Grüße aus Bergen"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.usage for chunk in chunks} == {None}


def test_a_chat_stream_counts_its_tokens_if_asked(client) -> None:
    """With `include_usage` the last chunk has the usage and no choice; no other one has any."""
    *chunks, last = client.chat.completions.create(
        model=MODEL,
        messages=_say("echo: counted"),
        stream=True,
        stream_options={"include_usage": True},
    )
    assert {chunk.usage for chunk in chunks} == {None}
    assert last.choices == []
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens > 0


def test_the_chat_helper_gathers_a_stream(client) -> None:
    """`chat.completions.stream` ends with the completion that the chunks make."""
    with client.chat.completions.stream(model=MODEL, messages=_say("echo: gathered")) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= set(kinds)
    assert final.choices[0].message.content == "gathered"


def test_a_response_is_answered(client) -> None:
    """The output, its text, the status and the usage are there without a stream."""
    answer = client.responses.create(model=MODEL, input="echo: Grüße aus Bergen")
    assert (answer.output_text, answer.status) == ("Grüße aus Bergen", "completed")
    assert answer.id.startswith("resp_")
    assert answer.error is None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


def test_a_response_streams(client) -> None:
    """The events are of known types, numbered, and end with the whole response."""
    events = list(client.responses.create(model=MODEL, input="echo: streamed", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == events[-1].response.output_text == "streamed"
    assert events[-1].response.usage.total_tokens > 0


def test_the_responses_helper_gathers_a_stream(client) -> None:
    """`responses.stream` has the output in its final response, reasoning included."""
    with client.responses.stream(
        model=MODEL,
        input="echo: gathered",
        reasoning={"effort": "high", "summary": "auto"},
        include=["reasoning.encrypted_content"],
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[-1] == "response.completed"
    reasoning, message = final.output
    assert (reasoning.type, bool(reasoning.encrypted_content)) == ("reasoning", True)
    assert (message.content[0].text, final.output_text) == ("gathered", "gathered")


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_tool_goes_there_and_back(client, stream) -> None:
    """The call's arguments fit the schema, and the answer to its output comes in a second turn."""
    messages = _say(prompt("How is the weather in Bergen?"))
    first = _completed(client, stream=stream, messages=messages, tools=CHAT_TOOLS)
    assert first.choices[0].finish_reason == "tool_calls"
    [call] = first.choices[0].message.tool_calls
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert json.loads(call.function.arguments).keys() == PLACE["properties"].keys()
    said = first.choices[0].message.model_dump(include={"role", "content"})
    calls = [one.model_dump(include={"id", "type", "function"}) for one in [call]]
    messages += [
        {**said, "tool_calls": calls},
        {"role": "tool", "tool_call_id": call.id, "content": "7 degrees"},
    ]
    second = _completed(client, stream=stream, messages=messages, tools=CHAT_TOOLS)
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content == "The tool answered: 7 degrees"


@pytest.mark.parametrize("stream", [False, True])
def test_a_responses_tool_goes_there_and_back(client, stream) -> None:
    """The first turn's output is sent again with the tool's, as the client's guide says."""
    context = _say(prompt("How is the weather in Bergen?"))
    first = _responded(client, stream=stream, input=context, tools=TOOLS)
    [call] = [item for item in first.output if item.type == "function_call"]
    assert json.loads(call.arguments).keys() == PLACE["properties"].keys()
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "7 degrees"}
    second = _responded(client, stream=stream, input=[*context, *first.output, output], tools=TOOLS)
    assert second.output_text == "The tool answered: 7 degrees"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("parallel", [True, False])
def test_chat_tools_are_called_in_parallel_if_allowed(client, stream, parallel) -> None:
    """Several calls have an id and a place each; one is all there is if that was asked for."""
    answer = _completed(
        client,
        stream=stream,
        messages=_say(prompt("Use tools in parallel.")),
        tools=CHAT_TOOLS,
        parallel_tool_calls=parallel,
    )
    calls = answer.choices[0].message.tool_calls
    assert len({call.id for call in calls}) == len(calls) == (2 if parallel else 1)
    assert [call.function.name for call in calls][:2] == ["get_weather", "get_time"][: len(calls)]
    assert all(json.loads(call.function.arguments) for call in calls)


@pytest.mark.parametrize("stream", [False, True])
def test_responses_tools_are_called_in_parallel(client, stream) -> None:
    """Each call is an item of its own in the output."""
    answer = _responded(client, stream=stream, input=prompt("Use tools in parallel."), tools=TOOLS)
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    assert len({call.call_id for call in calls}) == 2


def test_a_tool_can_be_demanded(client) -> None:
    """`tool_choice` names a function, and that one is called though the text does not ask."""
    chosen = client.chat.completions.create(
        model=MODEL,
        messages=_say(prompt("Hello.")),
        tools=CHAT_TOOLS,
        tool_choice={"type": "function", "function": {"name": "get_time"}},
    )
    assert chosen.choices[0].message.tool_calls[0].function.name == "get_time"
    choice = {"type": "function", "name": "get_time"}
    answer = client.responses.create(
        model=MODEL, input=prompt("Hello."), tools=TOOLS, tool_choice=choice
    )
    assert [item.name for item in answer.output if item.type == "function_call"] == ["get_time"]


def test_structured_output_is_parsed(client) -> None:
    """`.parse` of both dialects returns the model's instance."""
    completion = client.chat.completions.parse(
        model=MODEL, messages=_say(prompt("Plan a trip.")), response_format=Trip
    )
    assert isinstance(completion.choices[0].message.parsed, Trip)
    answer = client.responses.parse(model=MODEL, input=prompt("Plan a trip."), text_format=Trip)
    assert isinstance(answer.output_parsed, Trip)
    with client.responses.stream(
        model=MODEL, input=prompt("Plan a trip."), text_format=Trip
    ) as stream:
        assert isinstance(stream.get_final_response().output_parsed, Trip)


def test_structured_output_follows_a_schema(client) -> None:
    """A schema written by hand is kept to as well, and so is plain JSON."""
    schema = {"name": "place", "schema": PLACE, "strict": True}
    completion = client.chat.completions.create(
        model=MODEL,
        messages=_say(prompt("Name a place.")),
        response_format={"type": "json_schema", "json_schema": schema},
    )
    assert json.loads(completion.choices[0].message.content).keys() == PLACE["properties"].keys()
    answer = client.responses.create(
        model=MODEL,
        input=prompt("Name a place."),
        text={"format": {"type": "json_schema", **schema}},
    )
    assert json.loads(answer.output_text).keys() == PLACE["properties"].keys()
    plain = client.chat.completions.create(
        model=MODEL,
        messages=_say(prompt("Some JSON, please.")),
        response_format={"type": "json_object"},
    )
    assert json.loads(plain.choices[0].message.content)


def test_pictures_are_seen(client) -> None:
    """Every byte of a picture arrives in both dialects."""
    text = "What is this?"
    parts = [
        {"type": "text", "text": text},
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
    ]
    completion = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": parts}]
    )
    assert completion.choices[0].message.content == SEEN
    items = [
        {"type": "input_text", "text": text},
        {"type": "input_image", "image_url": PICTURE, "detail": "low"},
    ]
    answer = client.responses.create(model=MODEL, input=[{"role": "user", "content": items}])
    assert answer.output_text == SEEN


def test_reasoning_is_counted(client) -> None:
    """The details of the usage are filled in both dialects."""
    completion = client.chat.completions.create(
        model=MODEL, messages=_say(prompt("echo: thought")), reasoning_effort="high"
    )
    assert completion.usage.completion_tokens_details.reasoning_tokens > 0
    answer = client.responses.create(
        model=MODEL, input=prompt("echo: thought"), reasoning={"effort": "high"}
    )
    assert answer.usage.output_tokens_details.reasoning_tokens > 0


def test_models_are_listed(client) -> None:
    """Each model of the list can be retrieved by its id."""
    listed = [model.id for model in client.models.list()]
    assert MODEL in listed
    assert [client.models.retrieve(name).id for name in listed] == listed


def test_the_asynchronous_client_works_too(gateway) -> None:
    """Several calls of one client at a time, streamed or not, each get their own answer."""

    async def talk() -> None:
        async with openai.AsyncOpenAI(
            api_key=API_KEY, base_url=f"{gateway.url}/v1", max_retries=0
        ) as client:

            async def streamed(number: int) -> str:
                stream = await client.chat.completions.create(
                    model=MODEL, messages=_say(f"echo: number {number}"), stream=True
                )
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            async def whole(number: int) -> str:
                answer = await client.responses.create(model=MODEL, input=f"echo: number {number}")
                return answer.output_text

            async def helped(number: int) -> str:
                async with client.responses.stream(
                    model=MODEL, input=f"echo: number {number}"
                ) as stream:
                    return (await stream.get_final_response()).output_text

            makers = [streamed, whole, helped] * 4
            said = await asyncio.gather(*(make(number) for number, make in enumerate(makers)))
            assert said == [f"number {number}" for number in range(len(makers))]

    asyncio.run(talk())


@pytest.mark.parametrize("stream", [False, True])
def test_the_request_id_is_the_callers_own(client, stream) -> None:
    """The raw answer has an id without asking, and the caller's own one if there is one."""
    create = client.chat.completions.with_raw_response.create
    given = create(model=MODEL, messages=_say("echo: id"), stream=stream)
    assert given.request_id.startswith("req_")
    own = {"x-request-id": "an-id-of-my-own"}
    kept = create(model=MODEL, messages=_say("echo: id"), stream=stream, extra_headers=own)
    assert kept.request_id == kept.headers["x-request-id"] == "an-id-of-my-own"
    if stream:
        assert list(given.parse())
        assert list(kept.parse())
    else:
        assert given.parse()._request_id == given.request_id


def _completed(client: openai.OpenAI, *, stream: bool, **options):
    """Return a chat completion, in one piece or gathered from a stream by the client's helper."""
    if not stream:
        return client.chat.completions.create(model=MODEL, **options)
    with client.chat.completions.stream(model=MODEL, **options) as events:
        return events.get_final_completion()


def _responded(client: openai.OpenAI, *, stream: bool, **options):
    """Return a response, in one piece or gathered from a stream by the client's helper."""
    if not stream:
        return client.responses.create(model=MODEL, **options)
    with client.responses.stream(model=MODEL, **options) as events:
        return events.get_final_response()
