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
_SECRET: Final = re.compile(
    r"(Bearer\s+)\S+|\beyJ[\w-]{8,}\.[\w.-]+|\b(?:sk|rt|at)[-_][\w-]{8,}", re.IGNORECASE
)
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def masked(text: str) -> str:
    """Return `text` with whatever looks like a credential replaced by stars."""
    return _SECRET.sub(lambda found: (found[1] or "") + "***", text)


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
                line[name] = masked(value) if isinstance(value, str) else value
        if record.exc_info:
            line["exception"] = masked(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


class PlainLines(logging.Formatter):
    """A line for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, with its fields as `key=value`."""
        fields = " ".join(
            f"{name}={value}" for name, value in vars(record).items() if name not in _STANDARD
        )
        time = self.formatTime(record, "%H:%M:%S")
        line = f"{time} {record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return masked(line)


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
    listener = logging.handlers.QueueListener(lines, stderr)
    listener.start()
    return listener
