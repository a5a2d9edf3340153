"""The WebSockets of this worker's callers: how many there are, and how all of them end.

The server in front cuts WebSockets the moment it is told to stop, without a word. So they are ended
before that: see `app.serving`.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from app.domain.traffic import Traffic
from app.edge.inflight import RETRY_AFTER_S, Ease, Strain
from app.edge.sockets.machine import State
from app.errors import Draining, Overloaded

SLICE: Final = 200
"""Connections that are closed in one go; between two slices, calls go on."""


class Connected(Protocol):
    """A connection, as far as it matters here."""

    @property
    def state(self) -> State:
        """Where it is."""

    def drain(self) -> None:
        """End between two turns."""

    def hurry(self) -> None:
        """End now."""


class Sockets:
    """One worker's."""

    def __init__(self, *, connections_max: int, strain: Strain | None = None) -> None:
        self._connections_max = connections_max
        self._strain: Strain = strain or Ease()
        self._live: dict[Connected, None] = {}
        self._then: Callable[[], None] | None = None
        self._draining = False
        self.traffic = Traffic()

    def __len__(self) -> int:
        return len(self._live)

    def admit(self) -> None:
        """Let one more connection begin.

        Raises:
            Draining: This worker is going away.
            Overloaded: It has as many connections as it may, or can carry.
        """
        if self._draining:
            raise Draining("This gateway is restarting; try again.", retry_after_s=1.0)
        if len(self._live) >= self._connections_max:
            text = "The gateway has too many connections."
            raise Overloaded(text, retry_after_s=RETRY_AFTER_S)
        self._strain.admit()

    def enter(self, connection: Connected) -> None:
        """Count a connection in; it is to `leave`."""
        self._live[connection] = None
        self.traffic.opened += 1
        if self._draining:
            connection.drain()

    def leave(self, connection: Connected) -> None:
        """Count a connection out."""
        del self._live[connection]
        if not self._live and self._then is not None:
            self._then()

    def states(self) -> dict[str, int]:
        """Return how many connections are in each state."""
        found = dict.fromkeys(State, 0)
        for connection in self._live:
            found[connection.state] += 1
        return {state.value: count for state, count in found.items()}

    def drain(self) -> None:
        """Take no new connection, and end those there are between two turns."""
        if not self._draining:
            self._draining = True
            self._each(list(self._live), hurried=False)

    def hurry(self) -> None:
        """End all connections now."""
        self._draining = True
        self._each(list(self._live), hurried=True)

    def when_none(self, then: Callable[[], None]) -> None:
        """Call `then` once there is no connection."""
        self._then = then
        if not self._live:
            then()

    def _each(self, connections: Sequence[Connected], *, hurried: bool) -> None:
        for connection in connections[:SLICE]:
            if connection in self._live:
                if hurried:
                    connection.hurry()
                else:
                    connection.drain()
        rest = connections[SLICE:]
        if rest:
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: self._each(rest, hurried=hurried))
