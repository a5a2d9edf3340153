"""Logs: one event a line, JSON for machines or plain text for a terminal, secrets masked.

Lines are made in the thread that logs and written by another one, so that a full pipe never holds
the event loop; when the queue is full, lines are dropped and counted, never waited for.
"""

import logging
import logging.handlers
import queue
import re
import sys
from typing import Any, Final

import orjson

QUEUE_LINES_MAX: Final = 10_000
STOP_WAIT_S: Final = 5.0
_SECRET: Final = re.compile(
    r"(Bearer\s+)[^\s\"']+"
    r"|(://)[^\s/@\"']+@"
    r"|\beyJ[\w-]{8,}\.[\w.-]+"
    r"|\b(?:sk|rt|at)[-_.][\w.-]{8,}",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def masked(text: str) -> str:
    """Return `text` with whatever looks like a credential replaced by stars."""
    return _SECRET.sub(lambda found: (found[1] or found[2] or "") + "***", text)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": masked(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                plain = isinstance(value, int | float | None)
                line[name] = value if plain else masked(str(value))
        if record.exc_info:
            line["exception"] = masked(self.formatException(record.exc_info))
        try:
            return orjson.dumps(line).decode()
        except TypeError:  # half of a surrogate pair, which no encoding of text can hold
            safe = {name: _encodable(value) for name, value in line.items()}
            return orjson.dumps(safe).decode()


class PlainLines(logging.Formatter):
    """A line for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, with its fields as `key=value`."""
        fields = " ".join(
            f"{name}={value}" for name, value in vars(record).items() if name not in _STANDARD
        )
        time = self.formatTime(record, "%H:%M:%S")
        event = _CONTROL.sub("?", f"{record.getMessage()} {fields}").rstrip()
        line = f"{time} {record.levelname.lower():7} {event}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return masked(line)


def _encodable(value: Any) -> Any:
    """Return the value as JSON can hold it: integers are bounded there, and text is UTF-8."""
    if value is None or isinstance(value, bool | float):
        return value
    return str(value).encode("utf-8", "replace").decode()


class _Listener(logging.handlers.QueueListener):
    """Waits for room for its end, which must not be dropped."""

    def __init__(self, lines: "queue.Queue[Any]", to: logging.Handler) -> None:
        super().__init__(lines, to)
        self._lines = lines

    def enqueue_sentinel(self) -> None:
        self._lines.put(None, timeout=STOP_WAIT_S)


class _Dropping(logging.handlers.QueueHandler):
    """Drops what does not fit."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


def start(*, level: str, as_json: bool) -> logging.handlers.QueueListener:
    """Send all logging of this process to stderr; `stop` the listener to flush it."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_LINES_MAX)
    stderr = logging.StreamHandler(sys.stderr)
    formatter = JsonLines() if as_json else PlainLines()
    stderr.setFormatter(formatter)
    handler = _Dropping(lines)
    # Formatting happens in the listener's thread, but the record must not change until then.
    handler.prepare = lambda record: record  # type: ignore[method-assign]
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "aiosqlite", "alembic", "asyncio", "_granian"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    listener = _Listener(lines, stderr)
    listener.start()
    return listener
