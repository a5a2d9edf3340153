"""The calls in flight in this worker, the bytes they hold, and whether new ones are still taken.

A worker that goes away does so in three steps: it withdraws (load balancers are told, new calls are
answered all the same, since nobody may have heard yet), it drains (new calls are refused, running
ones go on), and it hurries (what still runs ends with an error that says so).

A call holds its request's body until its reply has begun, because until then it may have to be
sent once more. So bodies are what a worker's memory goes to, and they are counted all together.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from app.errors import Draining, GatewayError, Overloaded

BODY_BYTES_MAX: Final = 512 << 20
"""Bytes of request bodies in one worker: ten of the largest, or 2,000 calls of 256 KiB each."""
RETRY_AFTER_S: Final = 2.0
"""As soon as this a call that was shed may come again."""
SLICE: Final = 100
"""Calls that are interrupted in one turn of the loop."""

Interrupt = Callable[[GatewayError], None]


class Strain(Protocol):
    """Says whether this worker can carry more, see `app.edge.strain`."""

    @property
    def word(self) -> str:
        """What it lacks, in a word; empty if nothing."""

    def admit(self) -> None:
        """Take one more call into account.

        Raises:
            Overloaded: There is too little for it; those that run come first.
        """


class Ease:
    """A worker that lacks nothing."""

    word = ""

    def admit(self) -> None:
        """Let everybody in."""


class InFlight:
    """Counts calls in, and says who may still come."""

    def __init__(
        self, *, calls_max: int, body_bytes_max: int = BODY_BYTES_MAX, strain: Strain | None = None
    ) -> None:
        self._calls_max = calls_max
        self._body_bytes_max = body_bytes_max
        self.strain: Strain = strain or Ease()
        self._places: dict[Place, None] = {}
        """Those of calls that can be interrupted."""
        self._refusing = False
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.body_bytes = 0
        """What the calls in flight hold of their requests' bodies."""
        self.draining = False
        """This worker is going away; it may still take calls."""

    def __len__(self) -> int:
        return self._count

    @property
    def closing(self) -> bool:
        """Whether a connection had better end with its answer."""
        return self.draining or bool(self.strain.word)

    def enter(self, interrupt: Interrupt | None = None, *, promised: bool = False) -> "Place":
        """Count a call in; its place is to be left.

        `interrupt` ends the call with an error, if time runs out before it has ended by itself. A
        call that is `promised` was let in elsewhere, and is not refused for a drain.

        Raises:
            Draining: This worker is going away.
            Overloaded: It has as many calls in flight as it may, or can carry.
        """
        if self._refusing and not promised:
            raise Draining("This gateway is restarting; try again.", retry_after_s=1.0)
        if self._count >= self._calls_max:
            text = "The gateway has too many calls in flight."
            raise Overloaded(text, retry_after_s=RETRY_AFTER_S)
        self.strain.admit()
        self._count += 1
        self._idle.clear()
        place = Place(self, interrupt)
        if interrupt is not None:
            self._places[place] = None
        return place

    def withdraw(self) -> None:
        """Say that this worker is going away; who comes all the same is answered."""
        self.draining = True

    def drain(self) -> None:
        """Take no new call from now on. A second call changes nothing."""
        self.draining = self._refusing = True

    def hurry(self) -> None:
        """End what still runs with an error that lets the caller try again elsewhere."""
        self.drain()
        self._interrupt(list(self._places))

    def _interrupt(self, places: Sequence["Place"]) -> None:
        for place in places[:SLICE]:
            if place in self._places and place.interrupt is not None:
                text = "This gateway is restarting; send the request once more."
                place.interrupt(Draining(text, retry_after_s=1.0))
        if rest := places[SLICE:]:
            asyncio.get_running_loop().call_soon(self._interrupt, rest)

    async def idle(self) -> None:
        """Return once no call is in flight."""
        await self._idle.wait()

    def hold(self, size: int, *, held: int) -> None:
        """Count `size` bytes in for a call that holds `held` already: see `Place.hold`."""
        # A body that is alone always fits: the limit of one body is another's to check.
        if self.body_bytes + size > self._body_bytes_max and self.body_bytes > held:
            text = "The gateway holds too many large requests."
            raise Overloaded(text, retry_after_s=RETRY_AFTER_S)
        self.body_bytes += size

    def leave(self, place: "Place", held: int) -> None:
        """Count out a call that held `held` bytes: see `Place.leave`."""
        self._places.pop(place, None)
        self.body_bytes -= held
        self._count -= 1
        if not self._count:
            self._idle.set()


class Place:
    """One call's place among those in flight. `leave` it exactly once."""

    __slots__ = ("_held", "_in_flight", "interrupt")

    def __init__(self, in_flight: InFlight, interrupt: Interrupt | None) -> None:
        self._in_flight = in_flight
        self.interrupt = interrupt
        self._held = 0

    def hold(self, size: int) -> None:
        """Count `size` more bytes of the call's body in.

        Raises:
            Overloaded: All calls together hold as many as they may.
        """
        self._in_flight.hold(size, held=self._held)
        self._held += size

    def release(self) -> None:
        """Count the body out: the call goes on without it."""
        self._in_flight.body_bytes -= self._held
        self._held = 0

    def leave(self) -> None:
        """Count the call out, and all that it held."""
        self._in_flight.leave(self, self._held)
