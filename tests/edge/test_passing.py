"""Events are said as they come, and each is timed once: when it came, was made, and was sent."""

import asyncio
from collections.abc import Awaitable

import pytest

from app.edge.passing import Passing
from app.relay.reply import Batch
from app.wire.sse import SseEvent

WORD = Batch(b"word", [SseEvent("", b"word", b"word")])


class Watch:
    """A clock that is moved by hand."""

    time = 0.0

    def now(self) -> float:
        """Return the same."""
        return self.time

    def monotonic(self) -> float:
        """Return what it was moved to."""
        return self.time


class Lane:
    """Says events in capitals; nothing of those that it swallows."""

    def __init__(self, clock: Watch) -> None:
        self._clock = clock
        self.swallows = False

    def feed(self, batch: Batch) -> bytes:
        """Take a second for it."""
        self._clock.time += 1
        return b"" if self.swallows else batch.raw.upper()


class Way:
    """A caller: takes everything, or has to be waited for."""

    def __init__(self) -> None:
        self.gone = False
        self.sent: list[bytes] = []
        self.full: asyncio.Event | None = None

    def push(self, data: bytes) -> Awaitable[None] | None:
        """Take it; return what has to be awaited if the caller is slow."""
        self.sent.append(data)
        return self._drain(self.full) if self.full else None

    @staticmethod
    async def _drain(full: asyncio.Event) -> None:
        await full.wait()


class Observer:
    """Notes each time that an event was passed on."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float, float]] = []

    def passed(self, asked: float, came: float, made: float) -> float:
        """Return when the next one is asked for: ten seconds later, to be told apart."""
        self.times.append((asked, came, made))
        return made + 10


@pytest.fixture
def parts():
    """A passing and all around it."""
    clock, way, observer = Watch(), Way(), Observer()
    lane = Lane(clock)
    return Passing(lane, way, clock=clock, observer=observer), lane, way, observer, clock


def test_an_event_is_said_and_timed(parts):
    """The next one was asked for when this one had been passed on."""
    passing, _, way, observer, clock = parts
    began = clock.monotonic()
    clock.time += 5
    assert passing.take(WORD) is None
    assert passing.take(WORD) is None
    assert way.sent == [b"WORD", b"WORD"]
    assert observer.times == [
        (began, began + 5, began + 6),
        (began + 16, began + 6, began + 7),
    ]


def test_what_says_nothing_is_timed_and_not_sent(parts):
    """An event may mean nothing in the caller's dialect."""
    passing, lane, way, observer, _ = parts
    lane.swallows = True
    assert passing.take(WORD) is None
    assert (way.sent, len(observer.times)) == ([], 1)


def test_nothing_is_made_for_a_caller_that_is_gone(parts):
    """Its reply may be read on all the same."""
    passing, _, way, observer, _ = parts
    way.gone = True
    assert passing.take(WORD) is None
    assert (way.sent, observer.times) == ([], [])


async def test_a_slow_caller_is_waited_for_before_its_event_counts(parts):
    """Whoever reads the reply waits for what is returned."""
    passing, _, way, observer, _ = parts
    way.full = asyncio.Event()
    pending = asyncio.ensure_future(passing.take(WORD))
    await asyncio.sleep(0)
    assert observer.times == []
    way.full.set()
    await pending
    assert len(observer.times) == 1
