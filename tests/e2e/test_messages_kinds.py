"""Anthropic's own client, answered by a platform key and by a server that knows only chat.

What the caller hears must not tell who answered: the same blocks, events, stop reasons and errors
as from a Codex account. What only Codex accounts can do is in `test_anthropic_python.py`.
"""

import base64
import json
from collections.abc import Iterator

import anthropic
import pytest

from tests.e2e.asking import prompt
from tests.e2e.programs import API_KEY, MODEL, Pair, until
from tests.e2e.test_anthropic_python import (
    CLAUDE,
    CLOCK,
    PLACE,
    THINKING,
    TOOLS,
    WEATHER,
    picture,
)

KEY = "sk-sim-1"
SERVER = "compatible"
KINDS = [KEY, SERVER]


@pytest.fixture(scope="module")
def pairs(starter) -> Iterator[dict[str, Pair]]:
    """A gateway for each kind, with no account of any other kind."""
    running = {kind: starter.pair(accounts=1) for kind in KINDS}
    found = {kind: next(generator) for kind, generator in running.items()}
    for kind, pair in found.items():
        enrolled(pair, kind)
    yield found
    for generator in running.values():
        generator.close()


def enrolled(pair: Pair, kind: str) -> None:
    """Replace the Codex account by one of that kind that has the model."""
    gateway, addresses = pair.gateway, pair.simulator.addresses
    gateway.command("accounts", "set", "--all", "--disable")
    if kind == KEY:
        how = ("--kind", "openai", "--api-key", KEY, "--base-url", addresses["api_base_url"])
    else:
        base_url = f"{addresses['url']}/compatible/v1"
        how = ("--kind", "compatible", "--base-url", base_url, "--map-model", f"{MODEL}=qwen3")
    gateway.command("accounts", "add", *how)
    until(lambda: MODEL in {m["id"] for m in gateway.client.get("/v1/models").json()["data"]},
          "the model is there")  # fmt: skip
    until(lambda: _answers(pair), "the account answers")


def _answers(pair: Pair) -> bool:
    body = {"model": CLAUDE, "max_tokens": 9, "messages": [{"role": "user", "content": "echo: up"}]}
    answer = pair.gateway.client.post("/v1/messages", json=body)
    return answer.status_code == 200 and pair.simulator.see("ledger")[-1]["account"] in KINDS


@pytest.fixture(params=KINDS)
def pair(pairs, request) -> Iterator[Pair]:
    """Each of them; afterwards its upstream does what it should again."""
    found = pairs[request.param]
    yield found
    found.simulator.control(base={"fault": None, "cut_after_events": None}, rules=[])
    found.gateway.settled()


@pytest.fixture
def client(pair: Pair) -> Iterator[anthropic.Anthropic]:
    """The client as its users make it, but for the address."""
    url = pair.gateway.url
    with anthropic.Anthropic(api_key=API_KEY, base_url=url, max_retries=0) as client:
        yield client


def said(text: str) -> list[dict]:
    """Return the first message of a conversation."""
    return [{"role": "user", "content": text}]


def ask(client: anthropic.Anthropic, *, stream: bool, **options):
    """Return a message, in one piece or gathered from a stream by the client's helper."""
    options = {"model": CLAUDE, "max_tokens": 1_000, **options}
    if not stream:
        return client.messages.create(**options)
    with client.messages.stream(**options) as events:
        return events.get_final_message()


def answered(messages: list[dict], first, *results: dict) -> list[dict]:
    """Return the conversation with the model's turn and what its tools gave."""
    turn = {"role": "assistant", "content": first.content}
    return [*messages, turn, {"role": "user", "content": list(results)}]


def result(call, content) -> dict:
    """Return what a tool gave."""
    return {"type": "tool_result", "tool_use_id": call.id, "content": content}


@pytest.mark.parametrize("stream", [False, True])
def test_a_message_is_answered(client, stream) -> None:
    """Text, end, the model's name as it was asked for, id and usage are there."""
    answer = ask(client, stream=stream, system="Be brief.", messages=said("echo: Grüße"))
    [block] = answer.content
    assert (block.type, block.text) == ("text", "Grüße")
    assert (answer.stop_reason, answer.model) == ("end_turn", CLAUDE)
    assert answer.id.startswith("msg_")
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0


def test_a_message_streams_in_the_usual_order(client) -> None:
    """From the start of the message to its stop, each block closed."""
    asked = {"model": CLAUDE, "max_tokens": 100, "messages": said("echo: streamed")}
    with client.messages.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_text() == "streamed"
    raw = [kind for kind in kinds if kind.startswith(("message", "content"))]
    assert raw[:2] == ["message_start", "content_block_start"]
    assert raw[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert raw.count("content_block_start") == raw.count("content_block_stop")


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_goes_there_and_back(client, stream) -> None:
    """With an input that fits its schema; its result is heard in the second turn."""
    messages = said(prompt("How is the weather in Bergen?"))
    first = ask(client, stream=stream, messages=messages, tools=TOOLS)
    assert first.stop_reason == "tool_use"
    [call] = [block for block in first.content if block.type == "tool_use"]
    assert (call.name, call.input.keys()) == ("get_weather", PLACE["properties"].keys())
    messages = answered(messages, first, result(call, "7 degrees"))
    second = ask(client, stream=stream, messages=messages, tools=TOOLS)
    assert (second.content[-1].text, second.stop_reason) == (
        "The tool answered: 7 degrees",
        "end_turn",
    )


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_in_parallel_and_answered_together(client, stream) -> None:
    """Each call has an id and an input of its own."""
    messages = said(prompt("Use tools in parallel."))
    first = ask(client, stream=stream, messages=messages, tools=TOOLS)
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    assert len({call.id for call in calls}) == 2
    assert all(call.input.keys() == PLACE["properties"].keys() for call in calls)
    results = [result(call, f"of {call.name}") for call in calls]
    second = ask(client, stream=stream, messages=answered(messages, first, *results), tools=TOOLS)
    assert second.content[-1].text == "The tool answered: of get_time"


def test_one_tool_at_a_time_and_a_certain_one_can_be_asked_for(client) -> None:
    """In chat's words where the upstream has no others."""
    one = {"type": "auto", "disable_parallel_tool_use": True}
    answer = ask(client, stream=True, messages=said(prompt("Use tools in parallel.")),
                 tools=TOOLS, tool_choice=one)  # fmt: skip
    assert len([block for block in answer.content if block.type == "tool_use"]) == 1
    answer = ask(client, stream=True, messages=said(prompt("Hello.")), tools=[WEATHER, CLOCK],
                 tool_choice={"type": "tool", "name": "get_time"})  # fmt: skip
    assert [block.name for block in answer.content if block.type == "tool_use"] == ["get_time"]


def test_a_tool_with_a_long_name_is_called_by_its_own_name(client) -> None:
    """It is shortened on the way, and nobody hears of that."""
    name = "mcp__a_server_with_a_very_long_name_indeed__and_a_tool_with_one_that_is_longer_still"
    tool = {**WEATHER, "name": name}
    answer = ask(client, stream=True, messages=said(prompt("How is the weather?")), tools=[tool])
    assert [block.name for block in answer.content if block.type == "tool_use"] == [name]


@pytest.mark.parametrize("stream", [False, True])
def test_pictures_are_seen(client, stream) -> None:
    """Every byte of a picture arrives, also of one that a tool has made."""
    data = picture()
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(data).decode()}
    image = {"type": "image", "source": source}
    content = [{"type": "text", "text": prompt("What is this?")}, image]
    answer = ask(client, stream=stream, messages=[{"role": "user", "content": content}])
    assert answer.content[0].text == f"I see an image of {len(data)} bytes."
    messages = said(prompt("How is the weather in Bergen?"))
    first = ask(client, stream=stream, messages=messages, tools=TOOLS)
    shown = [{"type": "text", "text": "as on this picture"}, image]
    messages = answered(messages, first, result(first.content[-1], shown))
    second = ask(client, stream=stream, messages=messages, tools=TOOLS)
    # Chat has no pictures in results: there it comes right after the result.
    seen = {"The tool answered: as on this picture", answer.content[0].text}
    assert second.content[-1].text in seen


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence_ends_the_answer_and_is_named(client, stream) -> None:
    """Chat does not tell which one it was, so it is the gateway that cuts."""
    messages = said("echo: one two three END four")
    answer = ask(client, stream=stream, messages=messages, stop_sequences=["never", "END"])
    assert answer.content[0].text == "one two three "
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "END")


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_goes_there_and_back(client, stream) -> None:
    """It may be asked for everywhere; a second turn brings along whatever came of it."""
    messages = said(prompt("How is the weather in Bergen?"))
    asked = {"tools": TOOLS, "thinking": THINKING, "max_tokens": 4_000}
    first = ask(client, stream=stream, messages=messages, **asked)
    messages = answered(messages, first, result(first.content[-1], "7 degrees"))
    second = ask(client, stream=stream, messages=messages, **asked)
    assert second.content[-1].text == "The tool answered: 7 degrees"


def test_structured_output_follows_its_schema(client) -> None:
    """The text is JSON of that form."""
    schema = {**PLACE, "additionalProperties": False}
    output = {"format": {"type": "json_schema", "schema": schema}}
    messages = said(prompt("Name a place."))
    answer = client.messages.create(
        model=CLAUDE, max_tokens=100, messages=messages, output_config=output
    )
    assert json.loads(answer.content[0].text).keys() == PLACE["properties"].keys()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429_rate_limit", "rate_limit_error"),
        ("503_overloaded", "overloaded_error"),
        ("500", "api_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_failures_are_told_in_anthropics_words(start, fault, kind, stream) -> None:
    """With the id of the request; no key is taken for bad that is good."""
    pair = start(accounts=1)
    enrolled(pair, SERVER)
    pair.simulator.control(base={"fault": fault})
    url = pair.gateway.url
    with (
        anthropic.Anthropic(api_key=API_KEY, base_url=url, max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        ask(client, stream=stream, messages=said(prompt("Hello.")))
    body = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", kind)
    assert caught.value.request_id.startswith("req_")
    pair.simulator.control(base={"fault": None})


def test_a_stream_that_breaks_ends_with_an_error(client, pair) -> None:
    """What came before it is not taken for an answer."""
    pair.simulator.control(base={"cut_after_events": 6, "deltas": 20})
    with (
        pytest.raises(anthropic.APIStatusError) as caught,
        client.messages.stream(
            model=CLAUDE, max_tokens=100, messages=said(prompt("Tell me something long."))
        ) as stream,
    ):
        stream.get_final_message()
    assert caught.value.body["error"]["type"] == "api_error"
    pair.simulator.control(base={"cut_after_events": None, "deltas": None})


@pytest.mark.parametrize(
    ("content", "param"),
    [
        ([{"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                       "data": "%%%"}}], "messages.0.content.0"),
        ([{"type": "tool_result", "tool_use_id": "toolu_nobody", "content": "x"}], "messages.0"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_anybody_is_asked(client, pair, content, param) -> None:
    """The message names the field, as Anthropic's do."""
    since = len(pair.simulator.see("ledger"))
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(
            model=CLAUDE, max_tokens=9, messages=[{"role": "user", "content": content}]
        )
    assert caught.value.body["error"]["message"].startswith(param)
    assert len(pair.simulator.see("ledger")) == since


def test_tokens_are_counted_without_asking_anybody(client, pair) -> None:
    """By the same tokenizer, whoever would answer."""
    since = len(pair.simulator.see("ledger"))
    assert client.messages.count_tokens(model=CLAUDE, messages=said("Hello")).input_tokens > 0
    assert len(pair.simulator.see("ledger")) == since
