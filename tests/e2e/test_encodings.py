"""Bodies that come compressed, and what a caller hears while the upstream says nothing.

The silence is short because the gateway of this module has short limits; its form is the real one.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator

import httpx
import pytest
import zstandard

from tests.e2e.asking import Heard, chat, payloads, prompt, question
from tests.e2e.programs import Pair, Starter

PUBLIC = "/v1/responses"
CHAT = "/v1/chat/completions"
CODEX = "/backend-api/codex/responses"
PATHS = (PUBLIC, CHAT, CODEX)
COMMENT = b": keep-alive\n\n"
SILENT_MS = 1_200
SHORT = {"commit_after_s": 0.2, "keepalive_s": 0.2}
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "identity": bytes,
}
LONG = "æøå 0123456789 " * 20_000


@pytest.fixture(scope="module")
def hasty(starter: Starter) -> Iterator[Pair]:
    """A pair whose gateway commits and comments early."""
    yield from starter.pair(accounts=8, limits=SHORT)


@pytest.fixture
def watched(hasty: Pair) -> Iterator[Pair]:
    """The hasty pair, which must be left clean."""
    hasty.simulator.mark()
    yield hasty
    hasty.gateway.settled()
    assert hasty.simulator.violations == []


def _body(path: str, text: str, **fields) -> dict:
    return (chat if path == CHAT else question)(text, **fields)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("path", PATHS)
def test_a_compressed_body_is_read(gateway, path, coding) -> None:
    """What the model hears is the text, whatever way it came; long ones too."""
    for size in (0, len(LONG)):
        text = prompt(f"{LONG[:size]} echo: unpacked")
        body = json.dumps(_body(path, text, stream=path == CODEX)).encode()
        headers = {"content-encoding": coding, "content-type": "application/json"}
        answer = gateway.client.post(path, content=CODINGS[coding](body), headers=headers)
        assert answer.status_code == 200, answer.text
        assert "unpacked" in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_codings_can_be_stacked(gateway, path) -> None:
    """They are undone in the order in which they are named, from the last."""
    body = json.dumps(_body(path, prompt("echo: unpacked"))).encode()
    packed = CODINGS["zstd"](CODINGS["gzip"](body))
    answer = gateway.client.post(path, content=packed, headers={"content-encoding": "gzip, zstd"})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("coding", "content", "status"),
    [
        ("br", b"anything", 415),
        ("gzip", b'{"model": "gpt-5.5"}', 400),
        ("zstd", CODINGS["zstd"](b'{"model": "gpt-5.5"}')[:-3], 400),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(
    gateway, simulator, path, coding, content, status
) -> None:
    """An unknown coding, no coding at all, and half a frame: the header is at fault."""
    answer = gateway.client.post(path, content=content, headers={"content-encoding": coding})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["param"] == "content-encoding"
    assert simulator.records == []


@pytest.mark.parametrize("path", PATHS)
def test_a_silent_upstream_is_covered_by_comments(watched, path) -> None:
    """The head and comments come before any event, and the events after them are whole."""
    body = _body(path, prompt("echo: at last", ttft_ms=SILENT_MS))
    with watched.gateway.client.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        pieces = answer.iter_raw()
        first = next(pieces)
        raw = first + b"".join(pieces)
    assert first.startswith(COMMENT)
    assert raw.count(COMMENT) >= 2
    assert raw.replace(COMMENT, b"").startswith((b"event: ", b"data: "))
    _assert_whole(path, raw, "at last")


@pytest.mark.parametrize("path", PATHS)
def test_a_silence_between_events_is_covered_too(watched, path) -> None:
    """Comments stand between whole events, also after content has come."""
    body = _body(path, prompt(deltas=4, events_per_s=2))
    with watched.gateway.client.stream("POST", path, json=body) as answer:
        raw = b"".join(answer.iter_raw())
    begun = raw.index(b"delta")
    assert COMMENT in raw[begun:]
    assert all(
        block.startswith((b"event: ", b"data: ", b": ")) for block in raw.split(b"\n\n") if block
    )


FAULTS = {
    "a limit": {"fault": "429_usage_limit", "headers_delay_ms": SILENT_MS},
    "an overload": {"fault": "503_overloaded", "headers_delay_ms": SILENT_MS},
    "a cut": {"cut_after_events": 4, "headers_delay_ms": SILENT_MS},
    "a failure in the prelude": {
        "terminal": "failed:server_is_overloaded",
        "terminal_at": "prelude",
        "ttft_ms": SILENT_MS,
    },
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("path", PATHS)
def test_after_the_commit_another_account_still_answers(watched, path, fault) -> None:
    """The head is out when the first attempt fails; the caller hears the second one only."""
    body = _body(path, prompt("echo: here we are", attempts=[fault, {}]))
    with watched.gateway.client.stream("POST", path, json=body) as answer:
        raw = b"".join(answer.iter_raw())
    assert raw.startswith(COMMENT)
    _assert_whole(path, raw, "here we are")
    records = watched.simulator.wait_for_records(2)
    assert records[1]["terminal"] == "completed"
    assert records[0]["account"] != records[1]["account"]


@pytest.mark.parametrize("path", PATHS)
def test_after_the_commit_a_failure_is_told_in_the_stream(watched, path) -> None:
    """No status is left to say it with, so the dialect's error event does; nothing follows."""
    body = _body(path, prompt(fault="context_length", headers_delay_ms=SILENT_MS))
    with watched.gateway.client.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200
        raw = b"".join(answer.iter_raw())
    last = list(payloads(raw))[-1]
    told = json.loads(last)
    error = told["error"] if path == CHAT else told["response"]["error"]
    assert error["code"] == "context_length_exceeded"
    watched.simulator.wait_for_records(1)


@pytest.mark.parametrize("path", [PUBLIC, CHAT])
def test_without_a_stream_nothing_is_committed(watched, path) -> None:
    """However long it takes, a caller that wants one answer gets a status that is true."""
    text = prompt(fault="context_length", headers_delay_ms=SILENT_MS)
    answer: httpx.Response = watched.gateway.client.post(path, json=_body(path, text, stream=False))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def _assert_whole(path: str, raw: bytes, text: str) -> None:
    """Assert that a stream has this text, one beginning and its dialect's end."""
    heard = Heard(200, httpx.Headers(), raw)
    assert heard.text.startswith(text)
    if path == CHAT:
        assert heard.payloads[-1] == "[DONE]"
    else:
        assert heard.types.count("response.created") == 1
        assert heard.types[-1] == "response.completed"
