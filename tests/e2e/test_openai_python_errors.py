"""The official Python client when something is wrong: the right exception, and retries that help.

The client tells how often it has retried in a header of its own, which its exceptions still have.
How long it would wait is read where it is computed, so that nobody has to.
"""

from collections.abc import Callable, Iterator

import openai
import pytest

from tests.e2e.asking import prompt
from tests.e2e.programs import API_KEY, MODEL, Gateway, Pair

ATTEMPTS = 4
"""Accounts that the gateway tries for one request."""
DOWN = {"fault": "500"}
CUT = {"cut_after_events": 10, "deltas": 30}
DIALECTS = ("chat", "responses")


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """A client that retries nothing."""
    with _client(gateway, max_retries=0) as client:
        yield client


def _client(gateway: Gateway, *, max_retries: int, api_key: str = API_KEY) -> openai.OpenAI:
    base_url = f"{gateway.url}/v1"
    return openai.OpenAI(api_key=api_key, base_url=base_url, max_retries=max_retries)


def _ask(client: openai.OpenAI, dialect: str, text: str, **options):
    """Ask in one of the two dialects; return the raw answer, which knows of its retries."""
    options = {"model": MODEL, **options}
    if dialect == "responses":
        return client.responses.with_raw_response.create(input=text, **options)
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.with_raw_response.create(messages=messages, **options)


def _retries(error: openai.APIStatusError) -> int:
    return int(error.response.request.headers["x-stainless-retry-count"])


def _unhurried(client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make the client retry at once; return the list of how long it would have waited."""
    waits: list[float] = []
    compute: Callable[..., float] = client._calculate_retry_timeout

    def note(*args, **kwargs) -> float:
        waits.append(compute(*args, **kwargs))
        return 0.0

    monkeypatch.setattr(client, "_calculate_retry_timeout", note)
    return waits


def test_a_wrong_key_is_an_authentication_error(gateway) -> None:
    """On every route, and without asking the upstream."""
    with _client(gateway, max_retries=2, api_key="sk-wrong") as client:
        calls = [client.models.list, *(lambda d=d: _ask(client, d, "hello") for d in DIALECTS)]
        for call in calls:
            with pytest.raises(openai.AuthenticationError) as caught:
                call()
            assert caught.value.code == "invalid_api_key"
            assert _retries(caught.value) == 0


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_not_found(client, dialect, stream) -> None:
    """The error names the field and has the code that the API has."""
    with pytest.raises(openai.NotFoundError) as caught:
        _ask(client, dialect, "hello", model="gpt-nobody-made", stream=stream)
    error = caught.value
    assert (error.code, error.param, error.type) == (
        "model_not_found",
        "model",
        "invalid_request_error",
    )
    assert error.request_id.startswith("req_")


def test_an_unknown_model_cannot_be_retrieved(client) -> None:
    """`models.retrieve` says so with the same exception."""
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-nobody-made")


@pytest.mark.parametrize(
    ("dialect", "options", "param"),
    [
        ("chat", {"temperature": 9}, "temperature"),
        ("chat", {"messages": [{"role": "stranger", "content": "hello"}]}, "messages[0].role"),
        ("chat", {"messages": "hello"}, "messages"),
        ("chat", {"tools": [{"type": "function"}]}, "tools[0].function"),
        ("responses", {"temperature": 9}, "temperature"),
        ("responses", {"input": 5}, "input"),
        ("responses", {"tools": "all"}, "tools"),
    ],
)
def test_a_bad_request_names_the_field(client, simulator, dialect, options, param) -> None:
    """400 with the path in `param`, before anybody was asked."""
    create = (client.chat.completions if dialect == "chat" else client.responses).create
    content = {"messages": [{"role": "user", "content": "hi"}], "input": "hi"}
    own = "messages" if dialect == "chat" else "input"
    with pytest.raises(openai.BadRequestError) as caught:
        create(**{"model": MODEL, own: content[own], **options})
    assert caught.value.param == param, caught.value
    assert simulator.records == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_upstreams_refusal_is_a_bad_request(client, simulator, dialect) -> None:
    """What only the model can judge comes back in its words, and is asked once."""
    with pytest.raises(openai.BadRequestError) as caught:
        _ask(client, dialect, prompt(fault="context_length"))
    assert caught.value.code == "context_length_exceeded"
    simulator.wait_for_records(1)


@pytest.mark.parametrize("stream", [False, True])
def test_a_pool_at_its_limit_is_a_rate_limit_error(start, stream) -> None:
    """The limit lasts for a while, so the client is told not to retry and does not."""
    pair: Pair = start(accounts=2)
    pair.simulator.control(base={"fault": "429_usage_limit", "resets_in_s": 1_000})
    with _client(pair.gateway, max_retries=2) as client:
        for dialect in DIALECTS:
            with pytest.raises(openai.RateLimitError) as caught:
                _ask(client, dialect, prompt(), stream=stream)
            error = caught.value
            assert error.code == "usage_limit_reached"
            assert int(error.response.headers["retry-after"]) > 60
            assert error.response.headers["x-should-retry"] == "false"
            assert _retries(error) == 0
    pair.simulator.wait_for_records(2)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_failing_upstream_is_a_server_error(client, simulator, dialect, stream) -> None:
    """Every attempt failed before content, so there is a status to raise for."""
    with pytest.raises(openai.InternalServerError) as caught:
        _ask(client, dialect, prompt(**DOWN), stream=stream)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_error")
    simulator.wait_for_records(ATTEMPTS)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_server_errors_are_retried(gateway, simulator, monkeypatch, dialect, stream) -> None:
    """The gateway gives up once, the client asks again, and its user sees an answer."""
    with _client(gateway, max_retries=2) as client:
        waits = _unhurried(client, monkeypatch)
        text = prompt("echo: at last", attempts=[DOWN] * ATTEMPTS + [{}])
        raw = _ask(client, dialect, text, stream=stream)
        assert (raw.retries_taken, len(waits)) == (1, 1)
        parsed = raw.parse()
        assert list(parsed) if stream else parsed
    simulator.wait_for_records(ATTEMPTS + 1)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_burst_limit_is_retried_when_it_is_over(start, monkeypatch, dialect) -> None:
    """429 for a moment: the client waits as long as `retry-after` says, and tries again."""
    pair: Pair = start(accounts=1, limits={"queue_wait_s": 0.1})
    with _client(pair.gateway, max_retries=2) as client:
        waits = _unhurried(client, monkeypatch)
        with pytest.raises(openai.RateLimitError) as caught:
            _ask(client, dialect, prompt(fault="429_rate_limit"))
        headers = caught.value.response.headers
        assert "x-should-retry" not in headers
        assert _retries(caught.value) == len(waits) == 2
        assert all(wait == int(wait) >= 1 for wait in waits)


def test_a_chat_stream_that_breaks_raises(client) -> None:
    """The error chunk becomes an exception after the text that had come."""
    said = []
    stream = _ask(client, "chat", prompt(**CUT), stream=True).parse()
    with pytest.raises(openai.APIError) as caught:
        said.extend(chunk.choices[0].delta.content for chunk in stream)
    assert (caught.value.code, any(said)) == ("stream_incomplete", True)


def test_a_response_stream_that_breaks_says_so(client) -> None:
    """The last event is of a type that the client knows, with the error in it."""
    *_, last = _ask(client, "responses", prompt(**CUT), stream=True).parse()
    assert (last.type, last.response.status) == ("response.failed", "failed")
    assert last.response.error.code == "stream_incomplete"
