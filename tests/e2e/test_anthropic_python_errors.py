"""The official Anthropic client when something is wrong: the right exception, retries that help.

The exceptions are told by the status, their reasons by the error's type and its sentence, which
names the field.
"""

from collections.abc import Callable, Iterator

import anthropic
import pytest

from tests.e2e.asking import failing_once, prompt
from tests.e2e.programs import API_KEY, Gateway

CLAUDE = "claude-sonnet-5"
DOWN = {"fault": "500"}
OWN = {"name": "mine", "input_schema": {"type": "object"}}


def _image(data: str, kind: str = "image/png") -> list[dict]:
    source = {"type": "base64", "media_type": kind, "data": data}
    return [{"role": "user", "content": [{"type": "image", "source": source}]}]


@pytest.fixture
def client(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    """A client that retries nothing."""
    with anthropic.Anthropic(api_key=API_KEY, base_url=gateway.url, max_retries=0) as client:
        yield client


def _ask(client: anthropic.Anthropic, text: str = "hello", **options):
    messages = [{"role": "user", "content": text}]
    return client.messages.create(
        **{"model": CLAUDE, "max_tokens": 100, "messages": messages, **options}
    )


def _told(caught: pytest.ExceptionInfo[anthropic.APIStatusError]) -> tuple[str, str]:
    """Return the type and the sentence of an error, whose form is complete."""
    body = caught.value.body
    assert body["type"] == "error"
    assert caught.value.request_id.startswith("req_")
    return body["error"]["type"], body["error"]["message"]


def test_a_wrong_key_is_an_authentication_error(gateway) -> None:
    """On every route."""
    with anthropic.Anthropic(api_key="sk-wrong", base_url=gateway.url) as client:
        counted = {"model": CLAUDE, "messages": [{"role": "user", "content": "x"}]}
        for call in (
            lambda: _ask(client),
            lambda: client.messages.count_tokens(**counted),
            client.models.list,
        ):
            with pytest.raises(anthropic.AuthenticationError) as caught:
                call()
            assert _told(caught)[0] == "authentication_error"


def test_an_unknown_model_is_not_found(client) -> None:
    """And so is one that can't be retrieved."""
    with pytest.raises(anthropic.NotFoundError) as caught:
        _ask(client, model="gemini")
    assert _told(caught)[0] == "not_found_error"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("gemini")


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"messages": _image("@@@@")}, "messages.0.content.0.source.data"),
        ({"messages": _image("bm8gaW1hZ2U=")}, "messages.0.content.0.source.data"),
        (
            {"messages": _image("bm8gaW1hZ2U=", "image/tiff")},
            "messages.0.content.0.source.media_type",
        ),
        ({"messages": "hello"}, "messages"),
        ({"max_tokens": -1}, "max_tokens"),
        (
            {"tools": [{"name": "f", "input_schema": {"type": "array"}}]},
            "tools.0.input_schema.type",
        ),
        ({"tools": [OWN, OWN]}, "tools.1.name"),
        ({"tools": [{"type": "computer_20250124", "name": "computer"}]}, "tools.0.type"),
        ({"tools": [OWN], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
        ({"thinking": {"type": "sometimes"}}, "thinking.type"),
    ],
)
def test_a_bad_request_names_the_field(client, simulator, options, path) -> None:
    """Before anybody was asked."""
    with pytest.raises(anthropic.BadRequestError) as caught:
        _ask(client, **options)
    kind, message = _told(caught)
    assert kind == "invalid_request_error"
    assert path in message
    assert simulator.records == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_is_told_as_clients_know_it(client, stream) -> None:
    """Claude Code compacts its conversation then."""
    with pytest.raises(anthropic.BadRequestError) as caught:
        _ask(client, prompt(fault="context_length"), stream=stream)
    kind, message = _told(caught)
    assert kind == "invalid_request_error"
    assert message.startswith("prompt is too long")


def test_a_failure_of_one_account_is_not_noticed(client, simulator) -> None:
    """Another one answers."""
    answer = _ask(client, failing_once({"fault": "429_usage_limit"}))
    assert answer.content[0].text.startswith("here we are")
    assert [record["status"] for record in simulator.wait_for_records(2)] == [429, 200]


def test_a_stream_that_breaks_is_an_error(client) -> None:
    """Never an answer that only looks whole."""
    asked = {"model": CLAUDE, "max_tokens": 100}
    asked["messages"] = [{"role": "user", "content": prompt(cut_after_events=10, deltas=30)}]
    with (
        pytest.raises(anthropic.APIStatusError) as caught,
        client.messages.stream(**asked) as stream,
    ):
        stream.get_final_message()
    assert caught.value.body["error"]["type"] == "api_error"


def test_a_failure_that_passes_is_retried(gateway, monkeypatch) -> None:
    """By the client itself, as long as it is told to wait and not to give up."""
    with anthropic.Anthropic(api_key=API_KEY, base_url=gateway.url, max_retries=1) as client:
        waits: list[float] = []
        compute: Callable[..., float] = client._calculate_retry_timeout

        def note(*args, **kwargs) -> float:
            waits.append(compute(*args, **kwargs))
            return 0.0

        monkeypatch.setattr(client, "_calculate_retry_timeout", note)
        answer = _ask(client, failing_once(DOWN, DOWN, DOWN, DOWN))
    assert answer.content[0].text.startswith("here we are")
    assert len(waits) == 1
