"""What may happen to a socket, and what then. Pure.

    IDLE --ask--> ASKED --first event--> ANSWERING --terminal event--> DONE --consumed--> IDLE
      |             |                        |                           |
      +-------------+------------------------+---------------------------+--> CLOSED, for good

Rule 1: one response in flight: only an idle socket is asked.
Rule 2: a socket is used again only if the terminal event of its last response has come, belonged to
        that response, was a good one, and was taken by whoever asked. Anything else spoils it.
Rule 3: of a socket that was used before, a response must begin by saying so, with a name that is
        new. Whatever else comes first may be left over from an earlier one: the socket is spoilt.
Rule 4: between two responses only private events may come, and they are dropped.
Rule 5: a socket that answers pings may be silent; how long a reply may take, the relay decides.
Rule 6: a socket grows at most 50 minutes old, each a little less, so that not all go at once.
"""

from collections import deque
from enum import Enum, StrEnum
from random import Random
from typing import Final

import msgspec
from msgspec import Struct

from app.dialects.responses.events import Kind, failure_of

IDLE_S: Final = 300.0
"""As others who reuse sockets with this backend do."""
AGE_S_MAX: Final = 3_000.0
"""The backend ends a socket after 60 minutes, in the middle of a response: ten are left for it."""
AGE_SPREAD_S: Final = 600.0
PING_EVERY_S: Final = 30.0
PONG_WITHIN_S: Final = 20.0
NAMES_KEPT: Final = 16
"""Responses whose names a socket remembers, so that none of them is taken for a new one."""
OUTLIVED: Final = "websocket_connection_limit_reached"


class Phase(Enum):
    """Where a socket is between two responses."""

    IDLE = "idle"
    ASKED = "asked"
    ANSWERING = "answering"
    DONE = "done"
    CLOSED = "closed"


class Reason(StrEnum):
    """Why a socket was closed: the labels of a metric."""

    IDLE = "idle"
    AGE = "age"
    OUTLIVED = "outlived"
    SILENT = "silent"
    STRAY = "stray"
    FAILED = "failed"
    ABANDONED = "abandoned"
    LOST = "lost"
    CREDENTIAL = "credential"
    EVICTED = "evicted"
    DRAIN = "drain"


class Whose(Enum):
    """Whom a message is for."""

    TURN = "turn"
    NOBODY = "nobody"
    STRAY = "stray"


class Look(Enum):
    """What to do about a socket that was looked at."""

    KEEP = "keep"
    PING = "ping"


class _Id(Struct):
    id: str | None = None


class _Named(Struct):
    response: _Id | None = None


_NAMED: Final = msgspec.json.Decoder(_Named)
_BEGINNINGS: Final = (Kind.LIFECYCLE, Kind.FAILED, Kind.ERROR)
_GOOD_ENDS: Final = (Kind.COMPLETED, Kind.INCOMPLETE)


class Life:
    """The state of one socket. Its owner tells it of everything that happens, with the time."""

    __slots__ = (
        "_age_s_max",
        "_earlier",
        "_hold",
        "_opened_at",
        "_pinged_at",
        "_response_id",
        "heard_at",
        "held",
        "idle_since",
        "phase",
        "spoilt",
        "turns",
    )

    def __init__(self, *, now: float, rng: Random) -> None:
        self._opened_at = now
        self._age_s_max = AGE_S_MAX - AGE_SPREAD_S * rng.random()
        self._pinged_at = now
        self._hold = False
        self._response_id: str | None = None
        self._earlier: deque[str] = deque(maxlen=NAMES_KEPT)
        self.heard_at = now
        self.idle_since = now
        self.phase = Phase.IDLE
        self.spoilt: Reason | None = None
        """Why it must not be used again, None if it may."""
        self.held: str | None = None
        """The response that the backend can continue on this socket: its latest, if it was good."""
        self.turns = 0

    def fit(self, now: float) -> bool:
        """Tell whether it may be asked now."""
        return (
            self.phase is Phase.IDLE
            and self.spoilt is None
            and now - self.idle_since < IDLE_S
            and now - self._opened_at < self._age_s_max
        )

    def ask(self, *, hold: bool) -> None:
        """Note that a request goes out on it; `hold` what it answers if it may be continued."""
        assert self.phase is Phase.IDLE  # noqa: S101 - whoever asks has taken it from the stock
        self.phase = Phase.ASKED
        self.turns += 1
        self._hold = hold
        if self._response_id is not None:
            self._earlier.append(self._response_id)
        self.held = self._response_id = None

    def hear(self, kind: Kind, data: bytes, now: float) -> Whose:
        """Take in a message and tell whose it is; one that is nobody's may have spoilt the socket.

        After `STRAY` the socket has to be closed: who is answered by it can't be told any more.
        """
        self.heard_at = now
        match self.phase:
            case Phase.ASKED:
                return self._first(kind, data)
            case Phase.ANSWERING:
                return self._next(kind, data)
            case Phase.CLOSED:
                return Whose.NOBODY
            case _:
                return self._between(kind, data)

    def consumed(self, now: float) -> bool:
        """Note that the terminal event was taken; True if the socket may be used again."""
        if self.phase is not Phase.DONE or self.spoilt is not None:
            return False
        if now - self._opened_at >= self._age_s_max:
            self.spoilt = Reason.AGE
            return False
        self.phase = Phase.IDLE
        self.idle_since = now
        self.held = self._response_id if self._hold else None
        return True

    def retire(self, reason: Reason) -> None:
        """Note that it must not be used again after this turn."""
        if self.spoilt is None:
            self.spoilt = reason

    def close(self, reason: Reason) -> Reason:
        """Note that it is closed; return why, which is what has spoilt it if anything has."""
        self.phase = Phase.CLOSED
        self.held = None
        if self.spoilt is None:
            self.spoilt = reason
        return self.spoilt

    def pong(self, now: float) -> None:
        """Note that it has answered a ping."""
        self.heard_at = now

    def look(self, now: float, *, listening: bool) -> Look | Reason:
        """Tell what is to be done at `now`; a reason means to close it.

        Not `listening` says that nothing is read from it just now, its reader being slow.
        """
        if self.phase is Phase.CLOSED:
            return Look.KEEP
        if self.phase is Phase.IDLE and not self.fit(now):
            old = now - self._opened_at >= self._age_s_max
            return self.spoilt or (Reason.AGE if old else Reason.IDLE)
        if not listening:
            return Look.KEEP
        if self._pinged_at > self.heard_at:
            return Reason.SILENT if now - self._pinged_at >= PONG_WITHIN_S else Look.KEEP
        if now - self.heard_at >= PING_EVERY_S:
            self._pinged_at = now
            return Look.PING
        return Look.KEEP

    def _first(self, kind: Kind, data: bytes) -> Whose:
        if kind is Kind.PRIVATE:
            return Whose.TURN
        if self.turns > 1 and kind not in _BEGINNINGS:
            return self._stray()
        named = _id_of(data) if kind is Kind.LIFECYCLE else None
        if named in self._earlier:
            return self._stray()
        self.phase = Phase.ANSWERING
        self._response_id = named
        if kind.terminal:
            return self._end(kind, data)
        return Whose.TURN

    def _next(self, kind: Kind, data: bytes) -> Whose:
        if kind.terminal:
            return self._end(kind, data)
        if kind is Kind.LIFECYCLE and not self._same(data):
            return self._stray()
        if kind is Kind.UNREADABLE:
            self.retire(Reason.STRAY)
        return Whose.TURN

    def _end(self, kind: Kind, data: bytes) -> Whose:
        if kind in _GOOD_ENDS:
            if not self._same(data):
                return self._stray()
            self.phase = Phase.DONE
        else:
            self.retire(Reason.OUTLIVED if failure_of(data).code == OUTLIVED else Reason.FAILED)
            if kind is Kind.FAILED:
                self.phase = Phase.DONE
        return Whose.TURN

    def _between(self, kind: Kind, data: bytes) -> Whose:
        """Judge what comes while nobody has asked anything."""
        if kind is Kind.PRIVATE:
            return Whose.NOBODY
        if kind is Kind.ERROR and failure_of(data).code == OUTLIVED:
            self.retire(Reason.OUTLIVED)
        return self._stray()

    def _stray(self) -> Whose:
        self.retire(Reason.STRAY)
        return Whose.STRAY

    def _same(self, data: bytes) -> bool:
        """Tell whether an event names no other response than the one that has begun."""
        named = _id_of(data)
        if self._response_id is None:
            self._response_id = named
            return True
        return named is None or named == self._response_id


def _id_of(data: bytes) -> str | None:
    try:
        response = _NAMED.decode(data).response
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return response.id if response is not None else None
