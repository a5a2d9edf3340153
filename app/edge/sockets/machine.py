"""What happens on a caller's WebSocket, decided without touching it: inputs in, commands out.

Rule 1: one turn at a time. What is sent meanwhile waits, in order, up to a bound.
Rule 2: a turn begins only while nothing ends; once `Close` has come out, nothing comes any more.
Rule 3: an error of the protocol interrupts the turn that runs, which says the error; without one
        it is said by itself. Either way the connection is closed after it.
Rule 4: an error of a turn closes the connection with the code that says whether to come back,
        except where the caller may mend it on the same connection.
Rule 5: a connection ends between turns: when it is too old, has been idle for too long, or its
        worker drains.

Time is an argument; `due_at` says when the next `tick` is wanted.
"""

from collections import deque
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from app.errors import (
    CallerError,
    Draining,
    GatewayError,
    InvalidRequest,
    PayloadTooLarge,
    RequestTimeout,
    TooManyRequests,
)

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
WRONG_KIND: Final = 1003
POLICY: Final = 1008
TOO_BIG: Final = 1009
FAILED: Final = 1011
RESTARTING: Final = 1012
TRY_LATER: Final = 1013

MENDABLE: Final = frozenset({"previous_response_not_found", "response_context_unavailable"})
"""Errors after which the caller may send the whole conversation on the same connection."""


class State(StrEnum):
    """Where a connection is."""

    IDLE = "idle"
    BUSY = "busy"
    CLOSING = "closing"


class SocketBounds(Struct, frozen=True, kw_only=True):
    """The limits of one connection; seconds, bytes, counts."""

    first_message_s: float = 30.0
    """Whoever connects has something to say."""
    idle_s: float = 600.0
    """Between two turns; clients that reuse a connection do so within minutes."""
    life_s: float = 3_600.0
    """As long as a connection to the upstream itself may live."""
    messages_per_s: float = 100.0
    """A turn is one message, so this is far above any use."""
    message_bytes_max: int = 16 << 20
    """As large as the upstream's own limit."""
    waiting_max: int = 4
    waiting_bytes_max: int = 16 << 20
    """Turns, and bytes of them, that may wait for the one that runs."""


class Begin(Struct, frozen=True):
    """Begin a turn; `answered` is owed when it is over."""

    body: bytes


class Interrupt(Struct, frozen=True):
    """Let the turn that runs end with an error; `answered` is owed as before."""

    error: GatewayError


class Abandon(Struct, frozen=True):
    """The caller has left, and so may its turn."""


class Close(Struct, frozen=True):
    """Say an error, if there is one, and close; nothing follows."""

    code: int
    reason: str
    error: GatewayError | None = None


Command: TypeAlias = Begin | Interrupt | Abandon | Close


class Machine:
    """One connection, from its acceptance to its end."""

    __slots__ = (
        "_allowed",
        "_allowed_at",
        "_bounds",
        "_draining",
        "_ending",
        "_idle_since",
        "_opened_at",
        "_spoken",
        "_waiting",
        "_waiting_bytes",
        "state",
    )

    def __init__(self, bounds: SocketBounds, *, now: float) -> None:
        self._bounds = bounds
        self._opened_at = self._idle_since = self._allowed_at = now
        self._allowed = 2 * bounds.messages_per_s
        self._spoken = False
        self._draining = False
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._ending: Close | None = None
        """How to close once the turn that was interrupted has said why."""
        self.state = State.IDLE

    @property
    def due_at(self) -> float:
        """When something is to be looked at, if nothing happens until then."""
        bounds = self._bounds
        over_at = self._opened_at + bounds.life_s
        if self.state is not State.IDLE:
            return over_at
        patience_s = bounds.idle_s if self._spoken else bounds.first_message_s
        return min(over_at, self._idle_since + patience_s)

    def heard(self, *, now: float, size: int = 0) -> list[Command]:
        """A message has come, whatever it says; what it says comes next if this is empty."""
        if self.state is State.CLOSING:
            return []
        bounds = self._bounds
        rate, spent_s = bounds.messages_per_s, now - self._allowed_at
        self._allowed = min(2 * rate, self._allowed + spent_s * rate) - 1
        self._allowed_at = now
        if self._allowed < 0:
            flood = TooManyRequests(f"At most {rate:.0f} messages a second are taken here.")
            return self._violated(flood, POLICY, "too many messages")
        if size > bounds.message_bytes_max:
            # The Codex CLI sends again, five times more, what is refused with 413.
            text = f"A message may have {bounds.message_bytes_max} bytes at most."
            big = PayloadTooLarge(text, status=400, param="input")
            return self._violated(big, TOO_BIG, "message too big")
        return []

    def asked(self, body: bytes) -> list[Command]:
        """The message asks for a response."""
        if self.state is State.CLOSING or self._ending is not None:
            return []
        self._spoken = True
        if self.state is State.IDLE:
            self.state = State.BUSY
            return [Begin(body)]
        bounds = self._bounds
        self._waiting_bytes += len(body)
        if (
            len(self._waiting) >= bounds.waiting_max
            or self._waiting_bytes > bounds.waiting_bytes_max
        ):
            text = "Too many requests wait for the one that runs: one runs at a time here."
            return self._violated(TooManyRequests(text), POLICY, "too many turns")
        self._waiting.append(body)
        return []

    def refused(self, error: GatewayError) -> list[Command]:
        """The message is none that is understood."""
        return self._violated(error, close_code(error) or POLICY, error.code)

    def binary(self) -> list[Command]:
        """The message is no text."""
        error = InvalidRequest("Messages are JSON objects in text frames, never binary.")
        return self._violated(error, WRONG_KIND, "text frames only")

    def answered(self, error: GatewayError | None, *, now: float) -> list[Command]:
        """The turn is over; an error has been said already."""
        if self.state is State.CLOSING:
            return []
        self.state, self._idle_since = State.IDLE, now
        ending = self._ending_after(error, now=now)
        if ending is not None:
            return self._close(ending)
        if not self._waiting:
            return []
        body = self._waiting.popleft()
        self._waiting_bytes -= len(body)
        self.state = State.BUSY
        return [Begin(body)]

    def tick(self, *, now: float) -> list[Command]:
        """`due_at` has come, or any other time."""
        if self.state is not State.IDLE or now < self.due_at:
            return []
        if now >= self._opened_at + self._bounds.life_s:
            return self._close(_outlived(self._bounds.life_s))
        if self._spoken:
            return self._close(Close(NORMAL, "idle"))
        error = RequestTimeout(f"No message came within {self._bounds.first_message_s:.0f} s.")
        return self._close(Close(POLICY, error.code, error))

    def drain(self) -> list[Command]:
        """The worker goes away: at the end of this turn, or at once if there is none."""
        self._draining = True
        self._forget_waiting()
        if self.state is not State.IDLE:
            return []
        return self._close(Close(RESTARTING, "restarting"))

    def hurry(self) -> list[Command]:
        """The worker goes away now."""
        commands = self.drain()
        if self.state is not State.BUSY or self._ending is not None:
            return commands
        self._ending = Close(RESTARTING, "restarting")
        text = "This gateway is restarting; connect again, and send the request once more."
        return [Interrupt(Draining(text, retry_after_s=1.0))]

    def left(self) -> list[Command]:
        """The caller has closed the connection, or lost it."""
        busy, self.state = self.state is State.BUSY, State.CLOSING
        self._forget_waiting()
        return [Abandon()] if busy else []

    def _ending_after(self, error: GatewayError | None, *, now: float) -> Close | None:
        """Return how the connection ends after a turn, None if it goes on."""
        if self._ending is not None:
            return self._ending
        code = close_code(error) if error is not None else None
        if error is not None and code is not None:
            return Close(code, error.code)
        if self._draining:
            return Close(RESTARTING, "restarting")
        if now >= self._opened_at + self._bounds.life_s:
            return _outlived(self._bounds.life_s)
        return None

    def _violated(self, error: GatewayError, code: int, reason: str) -> list[Command]:
        if self.state is State.CLOSING or self._ending is not None:
            return []
        self._forget_waiting()
        if self.state is State.IDLE:
            return self._close(Close(code, reason, error))
        self._ending = Close(code, reason)
        return [Interrupt(error)]

    def _close(self, close: Close) -> list[Command]:
        self.state = State.CLOSING
        self._forget_waiting()
        return [close]

    def _forget_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0


def close_code(error: GatewayError) -> int | None:
    """Return the code that closes a connection after an error; None if it stays open."""
    if error.code in MENDABLE:
        return None
    if isinstance(error, Draining):
        return RESTARTING
    if error.status == 429:
        return TRY_LATER
    return POLICY if error.status < 500 else FAILED


def _outlived(life_s: float) -> Close:
    minutes = life_s / 60
    text = (
        f"Responses websocket connection limit reached ({minutes:.0f} minutes). Create a new"
        " websocket connection to continue."
    )
    error = CallerError(text, code="websocket_connection_limit_reached")
    return Close(GOING_AWAY, "connection limit reached", error)
