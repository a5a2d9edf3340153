"""A log line is one line, can be read by a machine, and tells no secret."""

import json
import logging
import queue
import subprocess
import sys

import pytest
from structlog.contextvars import bound_contextvars

from app.telemetry import logs
from app.telemetry.logs import JsonLines, PlainLines, masked

SECRETS = [
    "Bearer abc.def-123",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "sk-proj-abcdefghijkl",
    "rt_abcdefghijkl",
    "rt.1.AAbcdefghijkl",
    "at-abcdefghijkl",
    "http://me:password@proxy:8080",
]


@pytest.fixture
def root():
    """The root logger, put back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def record(message: str, *arguments, error=None, **fields) -> logging.LogRecord:
    """Return what a logger makes of it."""
    info = (type(error), error, None) if error else None
    made = logging.LogRecord("app.x", logging.WARNING, "f", 1, message, arguments, info)
    made.__dict__.update(fields)
    return made


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_masked_wherever_it_stands(secret):
    """In the event, in a field, in an exception, in both forms."""
    made = record("got %s.", secret, error=ValueError(secret), field=secret, other=[secret])
    for form in (JsonLines(), PlainLines()):
        line = form.format(made)
        assert "***" in line
        for part in ("abc.def", "eyJ", "abcdefghijkl", "password"):
            assert part not in line


def test_what_only_looks_a_little_like_one_stays():
    """A log is for reading."""
    for text in ("a rate-limit at once", "https://host/path?x=1", "at-most", "the token eyJ"):
        assert masked(text) == text


def test_a_json_line_has_its_fields():
    """Numbers stay numbers, everything else is text."""
    fields = {"count": 3, "share": 0.5, "on": True, "none": None, "kind": logging.Handler}
    line = json.loads(JsonLines().format(record("hello %s", "you", **fields)))
    assert line.pop("time")
    assert line == {
        "level": "warning", "logger": "app.x", "event": "hello you", "count": 3, "share": 0.5,
        "on": True, "none": None, "kind": "<class 'logging.Handler'>",
    }  # fmt: skip


def test_a_line_survives_what_json_can_not_hold():
    """Half a surrogate pair, and numbers without end."""
    line = json.loads(JsonLines().format(record("a\ud800b", big=2**70, some=1.5, none=None)))
    assert (line["event"], line["big"]) == ("a?b", str(2**70))
    assert (line["some"], line["none"]) == (1.5, None)


@pytest.mark.parametrize("form", [JsonLines(), PlainLines()])
def test_a_line_is_one_line(form):
    """Nobody forges a second one from outside."""
    line = form.format(record("a\r\nb\x1b[31m\u2028", field="c\nd"))
    assert not any(end in line for end in "\r\n\x1b")


def test_a_plain_line_has_its_fields_and_its_exception():
    """For a person at a terminal."""
    line = PlainLines().format(record("hello", error=ValueError("why"), account="a"))
    first, rest = line.split("\n", 1)
    assert first.split(maxsplit=1)[1] == "warning hello account=a"
    assert rest == "ValueError: why"


@pytest.mark.usefixtures("root")
def test_a_line_says_whose_request_it_is_about(capsys):
    """Also the line of a library that knows nothing of requests; what is said itself counts."""
    listener = logs.start(level="info", as_json=True)
    with bound_contextvars(request_id="req-7"):
        logging.getLogger("library").warning("no idea")
        logging.getLogger("app.y").info("other", extra={"request_id": "req-8"})
    logging.getLogger("app.y").info("nobody's")
    listener.stop()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.get("request_id") for line in lines] == ["req-7", "req-8", None]


FLOOD = """
import logging, sys
from app.telemetry import logs
logs.QUEUE_LINES_MAX = 100
logs.start(level="info", as_json=True)
for number in range(20_000):
    logging.getLogger("app.flood").info("x" * 100)
(family,) = logs.LogCounts().families()
print(int(family.samples[0].value), flush=True)
import os; os._exit(0)
"""


def test_a_pipe_that_nobody_reads_holds_nobody_up():
    """Two megabytes into a pipe of 64 KB: whoever waited for room would wait for ever."""
    with subprocess.Popen(
        [sys.executable, "-c", FLOOD], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as flood:
        dropped = int(flood.stdout.readline())
        assert flood.wait(60) == 0
        flood.stderr.close()
    assert 19_000 < dropped < 20_000


def test_lines_go_to_stderr_by_another_thread(root, capsys):
    """And all of them are there once the listener has been stopped."""
    listener = logs.start(level="info", as_json=True)
    logging.getLogger("app.y").info("one")
    logging.getLogger("app.y").debug("not this one")
    logging.getLogger("httpx").info("nor that one")
    listener.stop()
    lines = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["one"]
    assert root.level == logging.INFO


def test_what_does_not_fit_is_dropped_and_the_end_is_not(root, monkeypatch, capsys):
    """A full pipe holds nobody up."""
    monkeypatch.setattr(logs, "QUEUE_LINES_MAX", 5)
    monkeypatch.setattr(sys.stderr, "fileno", lambda: 2, raising=False)
    listener = logs.start(level="info", as_json=False)
    listener.stop()
    for number in range(9):
        logging.getLogger("app.y").info("line %d", number)
    assert root.handlers[0].dropped == 4
    listener.start()
    listener.stop()
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_a_listener_gives_up_on_a_pipe_that_never_moves(monkeypatch):
    """Its end waits for room only so long."""
    monkeypatch.setattr(logs, "STOP_WAIT_S", 0.01)
    lines: queue.Queue = queue.Queue(1)
    lines.put(None)
    with pytest.raises(queue.Full):
        logs._Listener(lines, logging.NullHandler()).enqueue_sentinel()
