"""The official client for Node: the same calls as in Python, run as programs, judged here.

The scenarios are in `node/`; each prints plain JSON. It is another client by the same maker: it
reads streams by itself, has helpers of its own, and checks other things.
"""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.asking import prompt
from tests.e2e.node_clients import HERE, INSTALL_S, installed
from tests.e2e.programs import API_KEY, MODEL, Gateway, clean_environment

pytestmark = pytest.mark.timeout(INSTALL_S + 120)
ATTEMPTS = 4
"""Accounts that the gateway tries for one request."""
SCENARIO_S = 60
DOWN = {"fault": "500"}
CUT = {"cut_after_events": 10, "deltas": 30}
PIXELS = b"\x89PNG\r\n\x1a\n" + bytes(59)
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
FUNCTIONS = [
    {"name": name, "description": "Tells something.", "parameters": PLACE, "strict": True}
    for name in ("get_weather", "get_time")
]
CHAT_TOOLS = [{"type": "function", "function": function} for function in FUNCTIONS]
TOOLS = [{"type": "function", **function} for function in FUNCTIONS]
DIALECTS = ("chat", "responses")
STREAMS = pytest.mark.parametrize("stream", [False, True])
Run = Callable[..., Any]


@pytest.fixture(scope="session")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenarios beside the packages that they import."""
    clients = installed()
    folder = tmp_path_factory.mktemp("node")
    for script in (HERE / "node").glob("*.mjs"):
        shutil.copyfile(script, folder / script.name)
    (folder / "node_modules").symlink_to(clients / "node_modules")
    return folder


def _run(folder: Path, gateway: Gateway, name: str, *, key: str = API_KEY, **asked: Any) -> Any:
    done = subprocess.run(
        ["node", "run.mjs", name],
        cwd=folder,
        env=clean_environment(),
        input=json.dumps({"baseURL": f"{gateway.url}/v1", "apiKey": key, **asked}),
        capture_output=True,
        text=True,
        timeout=SCENARIO_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def run(scenarios: Path, gateway: Gateway) -> Run:
    """Run a scenario against the shared gateway; return what it returned."""

    def run(name: str, **asked: Any) -> Any:
        return _run(scenarios, gateway, name, **asked)

    return run


def _content(dialect: str, text: str) -> dict[str, Any]:
    return {"input": text} if dialect == "responses" else {"messages": _say(text)}


def _say(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def test_a_chat_completion_is_answered(run) -> None:
    """Text, end, model, id and usage are where the client's type has them."""
    answer = run("chat", text="echo: Grüße aus Bergen")
    [choice] = answer["choices"]
    assert choice["message"]["content"] == "Grüße aus Bergen"
    assert (choice["finish_reason"], answer["model"]) == ("stop", MODEL)
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


@pytest.mark.parametrize("counted", [False, True])
def test_a_chat_completion_streams(run, counted) -> None:
    """The deltas make the text; the usage is the last chunk's if it was asked for."""
    options = {"stream_options": {"include_usage": True}} if counted else {}
    chunks = run("chatStream", text="echo: Grüße aus Bergen", **options)
    if counted:
        last = chunks.pop()
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] > 0
    assert {json.dumps(chunk.get("usage")) for chunk in chunks} == {"null"}
    choices = [chunk["choices"][0] for chunk in chunks]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    assert text == "Grüße aus Bergen"
    assert [one["finish_reason"] for one in choices if one["finish_reason"]] == ["stop"]


def test_a_response_is_answered(run) -> None:
    """The output, the text that the client makes of it, status and usage are there."""
    answer = run("response", text="echo: Grüße aus Bergen")
    assert (answer["output_text"], answer["status"]) == ("Grüße aus Bergen", "completed")
    assert answer["usage"]["total_tokens"] > 0


def test_a_response_streams(run) -> None:
    """The events are numbered and end with the whole response."""
    events = run("responseStream", text="echo: streamed")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    [message] = events[-1]["response"]["output"]
    assert message["content"][0]["text"] == "streamed"


def test_the_responses_helper_gathers_a_stream(run) -> None:
    """`responses.stream` has the output in its final response, reasoning included."""
    heard = run("responseHelper", text="echo: gathered")
    reasoning, message = heard["final"]["output"]
    assert (reasoning["type"], bool(reasoning["encrypted_content"])) == ("reasoning", True)
    assert message["content"][0]["text"] == "gathered"
    assert heard["kinds"][-1] == "response.completed"


@STREAMS
def test_a_chat_tool_goes_there_and_back(run, stream) -> None:
    """The call's arguments fit the schema, and the answer to its output comes in a second turn."""
    text = prompt("How is the weather in Bergen?")
    trip = run("chatToolTrip", text=text, tools=CHAT_TOOLS, stream=stream)
    [call] = trip["calls"]
    assert trip["finish_reason"] == "tool_calls"
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]).keys() == PLACE["properties"].keys()
    assert trip["answer"]["message"]["content"] == "The tool answered: 7 degrees"
    assert trip["answer"]["finish_reason"] == "stop"


@STREAMS
def test_a_responses_tool_goes_there_and_back(run, stream) -> None:
    """The first turn's output is sent again with the tool's, as the client's guide says."""
    text = prompt("How is the weather in Bergen?")
    trip = run("responsesToolTrip", text=text, tools=TOOLS, stream=stream)
    assert [call["name"] for call in trip["calls"]] == ["get_weather"]
    assert trip["answer"] == "The tool answered: 7 degrees"


@STREAMS
@pytest.mark.parametrize("parallel", [True, False])
def test_chat_tools_are_called_in_parallel_if_allowed(run, stream, parallel) -> None:
    """Several calls have an id and a place each; one is all there is if that was asked for."""
    calls = run(
        "chatParallel",
        text=prompt("Use tools in parallel.", interleave=False),
        tools=CHAT_TOOLS,
        stream=stream,
        parallel_tool_calls=parallel,
    )
    assert len({call["id"] for call in calls}) == len(calls) == (2 if parallel else 1)


def test_calls_whose_arguments_come_in_turns_are_gathered(run) -> None:
    """The helper reads a strict call's arguments as soon as the next call begins."""
    text = prompt("Use tools in parallel.", interleave=True)
    calls = run("chatParallel", text=text, tools=CHAT_TOOLS, stream=True)
    assert [call["function"]["name"] for call in calls] == ["get_weather", "get_time"]


@STREAMS
def test_responses_tools_are_called_in_parallel(run, stream) -> None:
    """Each call is an item of its own in the output."""
    text = prompt("Use tools in parallel.")
    calls = run("responsesParallel", text=text, tools=TOOLS, stream=stream)
    assert [call["name"] for call in calls] == ["get_weather", "get_time"]


def test_structured_output_is_parsed(run) -> None:
    """`.parse` of both dialects returns what the schema describes."""
    for parsed in run("structured", text=prompt("Plan a trip.")):
        assert parsed.keys() == {"city", "nights", "by_train"}


def test_pictures_are_seen(run) -> None:
    """Every byte of a picture arrives in both dialects."""
    picture = f"data:image/png;base64,{base64.b64encode(PIXELS).decode()}"
    said = run("vision", text="What is this?", picture=picture)
    assert said == [f"I see an image of {len(PIXELS)} bytes."] * 2


def test_models_are_listed(run) -> None:
    """Each model of the list can be retrieved by its id."""
    found = run("models")
    assert MODEL in found["listed"]
    assert found["retrieved"] == found["listed"]


def test_calls_at_the_same_time_get_their_own_answers(run) -> None:
    """A client asks several things at once."""
    numbers = [f"number {number}" for number in range(8)]
    assert run("together", texts=[f"echo: {number}" for number in numbers]) == numbers


def test_the_request_id_is_the_callers_own(run) -> None:
    """An answer has an id without asking, and the caller's own one if there is one."""
    ids = run("requestIds", text="echo: id", own="an-id-of-my-own")
    assert ids["given"] == ids["body"]
    assert ids["given"].startswith("req_")
    assert ids["kept"] == "an-id-of-my-own"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_wrong_key_is_an_authentication_error(run, dialect) -> None:
    """It is told once, and not tried again."""
    body = _content(dialect, "hello")
    told = run("outcome", dialect=dialect, body=body, key="sk-wrong", maxRetries=2)
    assert (told["name"], told["code"]) == ("AuthenticationError", "invalid_api_key")
    assert told["requests"] == ["0"]


@pytest.mark.parametrize("dialect", [*DIALECTS, "models"])
def test_an_unknown_model_is_not_found(run, dialect) -> None:
    """The error names the field and has the code that the API has."""
    body = {**_content(dialect, "hello"), "model": "gpt-nobody-made"}
    told = run("outcome", dialect=dialect, body=body)
    assert (told["name"], told["code"], told["param"]) == (
        "NotFoundError",
        "model_not_found",
        "model",
    )
    assert told["requestID"].startswith("req_")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_bad_request_names_the_field(run, simulator, dialect) -> None:
    """400 with the path in `param`, before anybody was asked."""
    body = {**_content(dialect, "hello"), "temperature": 9}
    told = run("outcome", dialect=dialect, body=body)
    assert (told["name"], told["param"]) == ("BadRequestError", "temperature")
    assert simulator.records == []


@STREAMS
def test_a_pool_at_its_limit_is_a_rate_limit_error(scenarios, start, stream) -> None:
    """The limit lasts for a while, so the client is told not to retry and does not."""
    pair = start(accounts=2)
    pair.simulator.control(base={"fault": "429_usage_limit", "resets_in_s": 1_000})
    for dialect in DIALECTS:
        asked = {"dialect": dialect, "body": _content(dialect, prompt()), "stream": stream}
        told = _run(scenarios, pair.gateway, "outcome", maxRetries=2, **asked)
        assert (told["name"], told["code"]) == ("RateLimitError", "usage_limit_reached")
        assert told["headers"]["x-should-retry"] == "false"
        assert told["requests"] == ["0"]
    pair.simulator.wait_for_records(2)


@pytest.mark.parametrize("dialect", DIALECTS)
@STREAMS
def test_a_failing_upstream_is_a_server_error(run, simulator, dialect, stream) -> None:
    """Every attempt failed before content, so there is a status to raise for."""
    body = _content(dialect, prompt(**DOWN))
    told = run("outcome", dialect=dialect, body=body, stream=stream)
    assert (told["name"], told["status"]) == ("InternalServerError", 502)
    assert told["code"] == "upstream_error"
    simulator.wait_for_records(ATTEMPTS)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_server_errors_are_retried(run, simulator, dialect) -> None:
    """The gateway gives up once, the client asks again, and its user sees an answer."""
    text = prompt("echo: at last", attempts=[DOWN] * ATTEMPTS + [{}])
    told = run("outcome", dialect=dialect, body=_content(dialect, text), maxRetries=2)
    assert told["requests"] == ["0", "1"]
    assert "at last" in json.dumps(told["answer"])
    simulator.wait_for_records(ATTEMPTS + 1)


def test_a_burst_limit_is_retried_when_it_is_over(scenarios, start) -> None:
    """429 for a moment: the client waits as long as `retry-after` says, and tries again."""
    pair = start(accounts=1, limits={"queue_wait_s": 0.1})
    body = _content("chat", prompt(fault="429_rate_limit"))
    told = _run(scenarios, pair.gateway, "outcome", dialect="chat", body=body, maxRetries=2)
    assert told["name"] == "RateLimitError"
    assert told["requests"] == ["0", "1", "2"]
    assert len(told["waits"]) == 2
    assert all(wait >= 1_000 and wait % 1_000 == 0 for wait in told["waits"])


def test_a_chat_stream_that_breaks_raises(run) -> None:
    """The error chunk becomes an exception after the text that had come."""
    body = _content("chat", prompt(**CUT))
    told = run("outcome", dialect="chat", body=body, stream=True)
    assert (told["name"], told["code"]) == ("APIError", "stream_incomplete")
    assert told["pieces"] > 0


def test_a_response_stream_that_breaks_says_so(run) -> None:
    """The last event tells of the failure, or the client raises it."""
    body = _content("responses", prompt(**CUT))
    told = run("outcome", dialect="responses", body=body, stream=True)
    last = told["answer"][-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["code"] == "stream_incomplete"


def test_turns_over_a_websocket_go_on_from_one_another(run, simulator) -> None:
    """By the client's own class for it: typed events, and only what is new is sent."""
    told = run("socketTurns", texts=["echo: one", "echo: two"])
    assert [turn["text"].split()[0] for turn in told["turns"]] == ["one", "two"]
    for turn in told["turns"]:
        assert (turn["types"][0], turn["types"][-1]) == ("response.created", "response.completed")
        assert turn["usage"]["output_tokens"] > 0
    simulator.wait_for_records(2)


def test_a_websocket_with_a_wrong_key_is_an_error_of_the_client(scenarios, gateway) -> None:
    """The handshake is answered with a status that the client tells."""
    told = _run(scenarios, gateway, "socketTurns", key="sk-wrong", texts=["x"])
    assert told["turns"] == []
    assert "401" in told["error"]["message"]
