"""A simulated upstream: event streams in pieces and with pauses, limits, refusals, and breaks.

It counts what every process has in flight by its own lights: from the request's arrival until it
has said its last word, or the connection is closed. Every event names its request, so that a caller
can tell whose words it got.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct, field

from app.domain.account import Account, AccountId
from app.domain.call import Call
from app.ports import UpstreamFailure
from tests.simulation.clocks import EPOCH
from tests.simulation.loop import SimulationLoop
from tests.simulation.overseer import Overseer

if TYPE_CHECKING:
    from tests.simulation.authority import Authority
    from tests.simulation.process import Process

Step = bytes | float | UpstreamFailure
"""A piece of a body, a wait in seconds, or how it breaks."""

SILENCE_S: Final = 1_000.0
JSON: Final = (("content-type", "application/json"),)
SSE: Final = (("content-type", "text/event-stream"),)


class Turn(StrEnum):
    """What the upstream does to a call that it lets in."""

    GOOD = "good"
    UNSENT = "unsent"
    ROUTE = "route"
    LOST = "lost"
    SLOW = "slow"
    """Its head does not come before the gateway has lost its patience."""
    FAULT = "fault"
    CROWDED = "crowded"
    CHALLENGE = "challenge"
    OVERLOAD = "overload"
    """It says so inside of a stream whose head said 200."""
    BURST = "burst"
    BURST_INSIDE = "burst_inside"
    CUT_BEFORE = "cut_before"
    """The connection breaks before any content."""
    CUT = "cut"
    """The connection breaks in the middle."""
    END = "end"
    """The stream ends well, as far as the transport can tell, without its last event."""
    SILENT = "silent"
    """It falls silent in the middle."""
    FAILED = "failed"
    """It says in the middle that it has failed."""
    REFUSED = "refused"


class Told(Struct, frozen=True):
    """What an answer says of its account."""

    unauthorized: bool = False
    until: float | None = None
    """Epoch seconds of the reset, where the answer names it so."""
    wait_s: float | None = None
    """Seconds until the reset, where it names those."""
    model: str | None = None


class Quota(Struct, frozen=True):
    """How many requests an account has in how many seconds."""

    requests: int
    window_s: float


class BackendFaults(Struct, frozen=True):
    """How often what goes wrong: shares of all calls."""

    shares: dict[Turn, float] = {}
    first_event_s: float = 0.3
    pause_s: float = 0.2


class Exchange(Struct, eq=False):
    """One request and its answer."""

    number: int
    call_id: str
    process: "Process"
    account: Account
    status: int = 200
    headers: tuple[tuple[str, str], ...] = SSE
    head_s: float = 0.0
    failure: UpstreamFailure | None = None
    """Instead of a head."""
    steps: list[Step] = field(default_factory=list)
    whole: bytes = b""
    """All that the body says, if nothing breaks."""
    told: Told | None = None
    open: bool = True


class _Meter(Struct):
    began_at: float = -1e9
    used: int = 0


class Backend:
    """The upstream itself; `link` is what a process has of it."""

    def __init__(
        self,
        *,
        loop: SimulationLoop,
        overseer: Overseer,
        rng: Random,
        faults: BackendFaults,
        authority: "Authority",
    ) -> None:
        self.loop = loop
        self.overseer = overseer
        self.rng = rng
        self.faults = faults
        self.authority = authority
        self.quotas: dict[AccountId, Quota] = {}
        self.overloaded_until = 0.0
        self.turns: Counter[str] = Counter()
        """What was done how often."""
        self._meters: dict[AccountId, _Meter] = {}
        self._in_flight: Counter[tuple[str, AccountId]] = Counter()
        self._number = 0

    def link(self, process: "Process") -> "BackendLink":
        """Return the port of a process."""
        return BackendLink(self, process)

    def arrive(self, process: "Process", account: Account, call: Call) -> Exchange:
        """Take a request, and decide on its answer."""
        self._number += 1
        exchange = Exchange(self._number, call.id, process, account)
        key = process.pid, account.id
        self._in_flight[key] += 1
        self.overseer.sent(exchange, self._in_flight[key])
        if not self.authority.accepts(account.credential.access_token.reveal()):
            _say(exchange, 401, code="token_expired", message="Sign in again.")
            exchange.told = Told(unauthorized=True)
            self.turns["unauthorized"] += 1
        elif not self._meter(exchange):
            turn = self._draw()
            self.turns[turn] += 1
            self._write(exchange, turn, call.model)
        return exchange

    def over(self, exchange: Exchange) -> None:
        """Note that the upstream has nothing more to do with this request."""
        if exchange.open:
            exchange.open = False
            self._in_flight[exchange.process.pid, exchange.account.id] -= 1

    def _draw(self) -> Turn:
        if self.loop.time() < self.overloaded_until:
            return Turn.OVERLOAD if self.rng.random() < 0.5 else Turn.CROWDED
        chance = self.rng.random()
        for turn, share in self.faults.shares.items():
            chance -= share
            if chance < 0:
                return turn
        return Turn.GOOD

    def _meter(self, exchange: Exchange) -> bool:
        """Count the request; True if the account is at its limit, and says so."""
        quota = self.quotas.get(exchange.account.id)
        if quota is None:
            return False
        meter = self._meters.setdefault(exchange.account.id, _Meter())
        now = self.loop.time()
        if now >= meter.began_at + quota.window_s:
            meter.began_at, meter.used = now, 0
        if meter.used < quota.requests:
            meter.used += 1
            return False
        self.turns["limited"] += 1
        resets_at = meter.began_at + quota.window_s
        if self.rng.random() < 0.5:
            _say(exchange, 429, type="usage_limit_reached", resets_at=EPOCH + resets_at)
            exchange.told = Told(until=EPOCH + resets_at)
        else:
            left_s = resets_at - now
            _say(exchange, 429, type="usage_limit_reached", resets_in_seconds=left_s)
            exchange.told = Told(wait_s=left_s)
        return True

    def _write(self, exchange: Exchange, turn: Turn, model: str) -> None:
        """Write the answer."""
        rng = self.rng
        exchange.head_s = 0.0 if rng.random() < 0.3 else 0.5 * rng.random()
        match turn:
            case Turn.UNSENT | Turn.ROUTE | Turn.LOST:
                exchange.failure = UpstreamFailure(
                    turn, sent=turn is Turn.LOST, route=turn is Turn.ROUTE
                )
            case Turn.SLOW:
                exchange.head_s = SILENCE_S
            case Turn.FAULT:
                _say(exchange, 500, message="fault")
            case Turn.CROWDED:
                _say(exchange, 503, code="server_is_overloaded")
            case Turn.CHALLENGE:
                exchange.status, exchange.headers = 403, (("content-type", "text/html"),)
                exchange.steps = [b"<html>who are you?</html>"]
            case Turn.REFUSED:
                _say(exchange, 400, code="context_length_exceeded", message="too long")
            case Turn.BURST:
                wait_s = 1 + rng.randrange(5)
                _say(exchange, 429, code="rate_limit_exceeded", message="slow down")
                exchange.headers = (*JSON, ("retry-after", str(wait_s)))
                exchange.told = Told(wait_s=wait_s, model=model)
            case _:
                self._stream(exchange, turn, model)

    def _stream(self, exchange: Exchange, turn: Turn, model: str) -> None:
        rng, number = self.rng, exchange.number
        prelude = [_event("response.created", number)] * rng.randrange(3)
        if turn in (Turn.OVERLOAD, Turn.BURST_INSIDE):
            code = "server_is_overloaded"
            if turn is Turn.BURST_INSIDE:
                code = "rate_limit_exceeded"
                exchange.told = Told(wait_s=2.0, model=model)
            error = {"code": code, "message": "Please try again in 2s."}
            self._send(exchange, [*prelude, _event("response.failed", number, error=error)])
            return
        content = [_event("response.output_text.delta", number) for _ in range(rng.randint(1, 4))]
        usage = {"input_tokens": 3, "output_tokens": 4}
        match turn:
            case Turn.GOOD:
                self._send(
                    exchange, [*prelude, *content, _event("response.completed", number, usage)]
                )
            case Turn.FAILED:
                error = {"code": "server_error", "message": "no"}
                self._send(
                    exchange, [*prelude, *content, _event("response.failed", number, error=error)]
                )
            case Turn.CUT_BEFORE:
                self._send(exchange, prelude)
                exchange.steps.append(UpstreamFailure("reset", sent=True))
            case Turn.CUT:
                self._send(exchange, [*prelude, *content])
                exchange.steps.append(UpstreamFailure("reset", sent=True))
            case Turn.SILENT:
                self._send(exchange, [*prelude, *content])
                exchange.steps.append(SILENCE_S)
            case _:
                self._send(exchange, [*prelude, *content])

    def _send(self, exchange: Exchange, events: list[bytes]) -> None:
        """Write events as pieces that begin and end anywhere, with pauses between them."""
        rng, steps = self.rng, exchange.steps
        exchange.whole = text = b"".join(events)
        steps.append(self.faults.first_event_s * 2 * rng.random())
        at = 0
        for event in events:
            end = at + len(event)
            if rng.random() < 0.2:
                continue  # with the next one, in one piece
            middle = rng.randrange(at, end) if rng.random() < 0.3 else at
            steps.extend(piece for piece in (text[at:middle], text[middle:end]) if piece)
            if rng.random() < 0.5:
                steps.append(self.faults.pause_s * 2 * rng.random())
            at = end
        if at < len(text):
            steps.append(text[at:])
        elif len(steps) > 1 and isinstance(steps[-1], float):
            steps.pop()  # nothing follows the last word, not even a pause


class BackendReply:
    """Satisfies `app.ports.UpstreamReply`."""

    messages = False
    retold = None
    feed = None

    def __init__(self, backend: Backend, exchange: Exchange) -> None:
        self._backend = backend
        self._exchange = exchange
        self._next = 0
        self.status = exchange.status
        self.headers: Sequence[tuple[str, str]] = exchange.headers

    async def read(self) -> bytes | None:
        """Return the next piece."""
        exchange = self._exchange
        while self._next < len(exchange.steps):
            step = exchange.steps[self._next]
            self._next += 1
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            if isinstance(step, bytes):
                if self._next == len(exchange.steps):
                    self._backend.over(exchange)
                return step
            self._backend.over(exchange)
            raise step
        self._backend.over(exchange)
        return None

    async def finish(self) -> None:
        """Keep the connection."""
        self._backend.over(self._exchange)
        await asyncio.sleep(0)

    async def abort(self) -> None:
        """Close the connection; letting go takes a turn of the loop."""
        self._backend.over(self._exchange)
        await asyncio.sleep(0)


class BackendLink:
    """Satisfies `app.ports.Upstream` for one process."""

    def __init__(self, backend: Backend, process: "Process") -> None:
        self._backend = backend
        self._process = process

    async def send(self, account: Account, call: Call) -> BackendReply:
        """Send the request and wait for the head."""
        if not self._process.alive:
            raise asyncio.CancelledError
        exchange = self._backend.arrive(self._process, account, call)
        try:
            await asyncio.sleep(exchange.head_s)
        except asyncio.CancelledError:
            self._backend.over(exchange)
            raise
        if exchange.failure is not None:
            self._backend.over(exchange)
            raise exchange.failure
        return BackendReply(self._backend, exchange)


def _event(type_: str, number: int, usage: object = None, error: object = None) -> bytes:
    """Return one event; every one names its request."""
    fields: dict[str, object] = {"type": type_, "of": number}
    if usage is not None or error is not None:
        fields["response"] = {"usage": usage, "error": error}
    return b"data: %b\n\n" % msgspec.json.encode(fields)


def _say(exchange: Exchange, status: int, **error: object) -> None:
    """Make the answer an error reply."""
    exchange.status, exchange.headers = status, JSON
    exchange.steps = [msgspec.json.encode({"error": error})]
