"""Logs: one event a line, JSON for machines or plain text for a terminal, secrets masked.

Lines are made in the thread that logs and written by another one, so that a full pipe never holds
the event loop; when the queue is full, lines are dropped and counted, never waited for. Whoever
logs uses the standard library; the request's id is bound once (`structlog.contextvars`) and stands
on every line of it.
"""

import logging
import logging.handlers
import queue
import re
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import orjson
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from structlog.contextvars import get_contextvars
from structlog.processors import format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.typing import EventDict

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


class JsonLines(ProcessorFormatter):
    """One JSON object a line: time, level, logger, event, and the fields given as `extra`."""

    def __init__(self) -> None:
        super().__init__(
            foreign_pre_chain=[ExtraAdder()],
            processors=[
                _headed,
                format_exc_info,
                ProcessorFormatter.remove_processors_meta,
                _redacted,
                _rendered,
            ],
        )


def _headed(_logger: object, _name: str, said: EventDict) -> EventDict:
    """Put in front what every line has."""
    record: logging.LogRecord = said["_record"]
    at = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(record.created))
    return {"time": at, "level": record.levelname.lower(), "logger": record.name, **said}


def _redacted(_logger: object, _name: str, said: EventDict) -> EventDict:
    """Mask what looks like a credential, wherever it stands; numbers stay numbers."""
    return {
        name: value if isinstance(value, int | float | None) else masked(str(value))
        for name, value in said.items()
    }


def _rendered(_logger: object, _name: str, said: EventDict) -> str:
    try:
        return orjson.dumps(said).decode()
    except TypeError:  # half of a surrogate pair, which no encoding of text can hold
        safe = {name: _encodable(value) for name, value in said.items()}
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
    """Drops what does not fit, and adds to a line whose request it is about."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # Lines are made in the listener's thread, which knows nothing of the request.
        for name, value in get_contextvars().items():
            record.__dict__.setdefault(name, value)
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class LogCounts:
    """What became of log lines; a source of metrics."""

    def families(self) -> Iterator[Metric]:
        """Yield it as it is now."""
        handlers = logging.getLogger().handlers
        dropped = sum(each.dropped for each in handlers if isinstance(each, _Dropping))
        family = CounterMetricFamily(
            "codex2api_log_lines_dropped", "Log lines that a slow reader left no room for."
        )
        family.add_metric((), dropped)
        yield family


def start(*, level: str, as_json: bool) -> logging.handlers.QueueListener:
    """Send all logging of this process to stderr; `stop` the listener to flush it."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_LINES_MAX)
    stderr = logging.StreamHandler(sys.stderr)
    formatter = JsonLines() if as_json else PlainLines()
    stderr.setFormatter(formatter)
    handler = _Dropping(lines)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "aiosqlite", "alembic", "asyncio", "_granian"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    listener = _Listener(lines, stderr)
    listener.start()
    return listener
