"""Plays the events of a reply into a sink, each at its time, until the end or a cut.

The hot path of the simulator: a callback per event on the shared `Wheel`, no task switch, no
JSON. It stops for a full send buffer and goes on when that has drained; it ends when the events
do, when the knobs cut it, or when the peer is gone. Whoever started it awaits `finished` and then
ends or breaks the reply.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

from loadtests.simulator.config import Knobs
from loadtests.simulator.encode import Compressor, Framer, cuts
from loadtests.simulator.events import Event
from loadtests.simulator.exchange import Cut, Exchange
from loadtests.simulator.pacing import Wheel

Outcome = Literal["end", "cut", "lost"]
EVENTS_PER_STEP_MAX = 128
BURST_BYTES_MAX = 64 << 10


class Sink(Protocol):
    """Where events go."""

    @property
    def blocked(self) -> bool:
        """Whether to wait before writing more."""

    def spell(self, name: bytes, payload: bytes) -> bytes:
        """The bytes of one event."""

    def pieces(self, data: bytes) -> list[bytes]:
        """How the bytes are cut up."""

    def write(self, data: bytes) -> None:
        """Send bytes. Raises Cut where the knobs end the reply."""

    def comment(self) -> bytes:
        """A keep-alive, or nothing where there is no such thing."""


class SseSink:
    """Events as SSE in the body of an HTTP reply."""

    def __init__(self, exchange: Exchange, seed: int) -> None:
        knobs = exchange.knobs
        self._exchange = exchange
        self._framer = Framer(knobs)
        slow = bool(knobs.body_bytes_per_s)
        self._mode = "byte" if slow and knobs.chunking == "natural" else knobs.chunking
        self._chance = random.Random(seed)
        self._compress = Compressor(knobs.encoding) if knobs.encoding != "identity" else None
        self.spell = self._framer.frame
        self.write: Callable[[bytes], None] = (
            exchange.body if self._compress is None else self._write_compressed
        )

    @property
    def blocked(self) -> bool:
        """Whether the send buffer is full."""
        return self._exchange.connection.blocked

    def pieces(self, data: bytes) -> list[bytes]:
        """The cuts that the knobs want."""
        return cuts(data, self._mode, self._chance)

    def comment(self) -> bytes:
        """A comment line."""
        return self._framer.comment()

    def finish(self) -> None:
        """End the content encoding, if there is one."""
        if self._compress is not None:
            self._exchange.body(self._compress.finish(), counted=False)

    def _write_compressed(self, data: bytes) -> None:
        assert self._compress is not None  # noqa: S101  (narrows the type)
        self._exchange.count(data)
        self._exchange.body(self._compress(data), counted=False)


class Playback:
    """One reply being played. Call `start` once, then await `finished`."""

    def __init__(self, events: Iterator[Event], sink: Sink, knobs: Knobs, wheel: Wheel) -> None:
        self._events = events
        self.sink = sink
        self._knobs = knobs
        self._wheel = wheel
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._number = 0
        self._held: list[bytes] = []
        self._held_events = 0
        self._torn: deque[bytes] = deque()
        self._after_torn_s = 0.0
        self._silent_until = 0.0
        self._cuts_events = knobs.chunking != "natural" or bool(knobs.body_bytes_per_s)
        self._piece_gap_s = 1 / knobs.body_bytes_per_s if knobs.body_bytes_per_s else 0.0
        self._comments_s = knobs.comments_every_ms / 1000
        self._waiting = False
        self._plain = not self._cuts_events and knobs.coalesce_events == 1 and not knobs.burst
        self.delivered = 0
        self.terminal: str | None = None
        self.first_write_ns: int | None = None
        self.last_write_ns: int | None = None
        self.finished: asyncio.Future[Outcome] = self._loop.create_future()

    def start(self) -> None:
        """Begin to play now."""
        self._due = time.monotonic()
        self._step()

    def lost(self) -> None:
        """The peer is gone; stop."""
        self._finish("lost")

    def resumed(self) -> None:
        """The send buffer has drained; go on."""
        if self._waiting:
            self._waiting = False
            self._due = max(self._due, time.monotonic())
            self._step()

    def _finish(self, outcome: Outcome) -> None:
        if not self.finished.done():
            self.finished.set_result(outcome)

    def _step(self) -> None:
        if self.finished.done():
            return
        try:
            self._play()
        except Cut:
            self._finish("cut")

    def _play(self) -> None:
        if self._silent_until and not self._hush():
            return
        if self._torn and not self._tear():
            return
        if self.delivered == self._knobs.cut_after_events:
            raise Cut
        for _ in range(EVENTS_PER_STEP_MAX):
            event = next(self._events, None)
            if event is None:
                self._release()
                self._finish("end")
                return
            if event.head and self._emit(event):
                return
            if self._held_up(event):
                return
        self._loop.call_soon(self._step)

    def _held_up(self, event: Event) -> bool:
        """Whether what follows has to wait; arranges for it. Raises Cut where that is due."""
        if self.delivered == self._knobs.cut_after_events:
            self._release()
            raise Cut
        if self._knobs.stepwise and event.head:
            self._release()
            self._wheel.turnstile.wait(self._step)
            return True
        if event.after_s > 0:
            self._release()
            self._wait(event.after_s)
            return True
        if self.sink.blocked:
            self._waiting = True
            return True
        return False

    def _emit(self, event: Event) -> bool:
        """Send or hold one event; true when it is torn and its pieces are still to come."""
        if event.tail is None:
            payload = event.head
        else:
            payload = event.head + b"%d" % self._number + event.tail
            self._number += 1
        data = self.sink.spell(event.name, payload)
        self.delivered += 1
        if event.terminal is not None:
            self.terminal = event.terminal
        if self._plain:
            self._mark()
            self.sink.write(data)
            return False
        if self._cuts_events:
            self._torn.extend(self.sink.pieces(data))
            self._after_torn_s = event.after_s
            return not self._tear()
        self._hold(data)
        return False

    def _mark(self) -> None:
        self.last_write_ns = time.monotonic_ns()
        if self.first_write_ns is None:
            self.first_write_ns = self.last_write_ns

    def _hold(self, data: bytes) -> None:
        """Keep events back that shall leave in one write."""
        self._held.append(data)
        self._held_events += len(data)
        full = len(self._held) >= self._knobs.coalesce_events and not self._knobs.burst
        if full or self._held_events >= BURST_BYTES_MAX:
            self._release()

    def _release(self) -> None:
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            self._held_events = 0
            self._mark()
            self.sink.write(data)

    def _tear(self) -> bool:
        """Write the next piece of a torn event; true when that was the last."""
        self._mark()
        self.sink.write(self._torn.popleft())
        if not self._torn and not self._after_torn_s and not self._piece_gap_s:
            return True
        if self._torn:
            wait_s = self._piece_gap_s
        else:
            wait_s = self._after_torn_s + self._piece_gap_s
            self._after_torn_s = 0.0
        if wait_s:
            self._wait(wait_s)
        else:
            self._loop.call_soon(self._step)
        return False

    def _wait(self, seconds: float) -> None:
        end = self._due + seconds
        if self._comments_s and seconds > self._comments_s:
            self._silent_until = end
            end = self._due + self._comments_s
        self._due = end
        self._wheel.at(end, self._step)

    def _hush(self) -> bool:
        """Keep a long wait alive with comments; true when the wait is over."""
        if self._due >= self._silent_until:
            self._silent_until = 0.0
            return True
        self.sink.write(self.sink.comment())
        self._due = min(self._due + self._comments_s, self._silent_until)
        self._wheel.at(self._due, self._step)
        return False
