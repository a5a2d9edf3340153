"""The sockets of one worker: dials them, lends them to calls, looks after them, ends them.

Nothing is dialled before a call asks for it. A call gets an idle socket with its very key or a new
one, or it is told that there is none (`NoSocket`), in which case HTTP takes it on the same account.
A request is sent a second time in one case only: a socket that had been used before gave nothing
of a reply, so that what failed was the socket and not the call.

What is closed properly takes a moment and is done by tasks of the pool's own group; they end with
it. Twice a minute those that are idle, old or silent go, a few at a time.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Final, Self

from msgspec import Struct

from app.dialects.responses.events import Kind, classify, failure_of
from app.domain.account import Account, AccountId
from app.domain.call import Call
from app.ports import Clock, UpstreamFailure, UpstreamReply
from app.upstream.sockets.connection import Dial, Rejected, Target, Unreachable
from app.upstream.sockets.detours import Detours
from app.upstream.sockets.frames import Refusal, opening, refusal
from app.upstream.sockets.handshake import Refused, judge, pause_s
from app.upstream.sockets.key import Introduction, introduction
from app.upstream.sockets.life import OUTLIVED, PING_EVERY_S, Phase, Reason
from app.upstream.sockets.reply import RefusalReply, SocketReply
from app.upstream.sockets.socket import Socket, Traffic, Turn
from app.upstream.sockets.stock import Stock

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = PING_EVERY_S
"""Pings need it this often; for those that are idle, old or silent once a minute would do."""
SLICE: Final = 64
"""Sockets looked at between two turns of the loop."""
EARLY_MAX: Final = 16
"""Private events before the first one of the reply; four have been seen."""
_TOO_BIG: Final = 1009
_POLICY: Final = 1008
_NOT_HERE: Final = frozenset({"previous_response_not_found", OUTLIVED})


class NoSocket(Exception):
    """The call can't go over a socket now, and none of it was answered. `reason` is a label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Stale(Exception):
    """A socket that had been used before gave nothing of a reply."""


class Bounds(Struct, frozen=True):
    """How many sockets there may be."""

    total_max: int
    account_max: int


class SocketPool:
    """Lends sockets. Enter it before the first call, leave it after the last one."""

    def __init__(self, *, url: str, dial: Dial, clock: Clock, rng: Random, bounds: Bounds) -> None:
        self._url = url
        self._dial = dial
        self._clock = clock
        self._rng = rng
        self._stock: Stock[Socket] = Stock(
            total_max=bounds.total_max, account_max=bounds.account_max
        )
        self._group = asyncio.TaskGroup()
        self._open = False
        self._closing = 0
        self.detours = Detours()
        self.traffic = Traffic()
        self.handshakes: Counter[str] = Counter()
        self.turns: Counter[str] = Counter()
        self.cleanups: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._open = True
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close_all(Reason.DRAIN)
        self._open = False
        await self._group.__aexit__(None, None, None)

    @property
    def entries(self) -> int:
        """How many entries all tables have together."""
        return self._stock.entries + len(self.detours)

    def states(self) -> Mapping[str, int]:
        """Return how many sockets there are in which state."""
        idle = self._stock.idle
        return {"idle": idle, "busy": len(self._stock) - idle}

    def connections(self) -> Mapping[str, int]:
        """Return how many connections there are in which state."""
        return {
            "dialling": self._stock.dialling,
            "open": len(self._stock),
            "closing": self._closing,
        }

    async def send(
        self, account: Account, call: Call, headers: list[tuple[str, str]]
    ) -> UpstreamReply:
        """Ask over a socket; returns once the first event of the reply is there.

        `headers` are those of the attempt over HTTP.

        Raises:
            NoSocket: HTTP has to take this call.
            UpstreamFailure: The reply broke off before it began.
        """
        if not self._open:
            raise NoSocket("closed")
        hold = call.live or call.previous_response_id is not None
        ours = introduction(account, call, headers)
        now = self._clock.monotonic()
        socket = self._stock.take(ours.key, continuing=call.previous_response_id, now=now)
        if socket is not None:
            message = _message(call, ours, held=socket.life.held)
            if len(message) > self.detours.size_max(now):
                self._stock.put_back(socket)
                raise NoSocket("size")
            self.turns["reused"] += 1
            try:
                return await self._ask(socket, message, hold=hold)
            except _Stale:
                self.turns["resent"] += 1
        message = _message(call, ours, held=None)
        if len(message) > self.detours.size_max(now):
            raise NoSocket("size")
        found = await self._new(account, ours)
        if isinstance(found, RefusalReply):
            return found
        self.turns["fresh"] += 1
        return await self._ask(found, message, hold=hold)

    def keep(self, accounts: Mapping[AccountId, int]) -> None:
        """Close what belongs to accounts, or generations of their credentials, that are gone."""
        for account_id in self._stock.accounts():
            generation = accounts.get(account_id)
            for socket in self._stock.of(account_id):
                if generation is None or socket.key.generation < generation:
                    self._retire(socket, Reason.CREDENTIAL)

    def close_all(self, reason: Reason) -> None:
        """Close all sockets, those that are busy at once."""
        for socket in list(self._stock):
            socket.close(reason, now=socket.life.phase is not Phase.IDLE)

    async def run(self) -> None:
        """Look after the sockets, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Ping or close those that need it, a few at a time."""
        for batch in self._stock.batches(SLICE):
            for socket in batch:
                socket.look()
            await asyncio.sleep(0)
        self.detours.forget(self._clock.monotonic())

    async def _ask(self, socket: Socket, message: bytes, *, hold: bool) -> UpstreamReply:
        """Ask on a socket that was taken for this call."""
        reused = socket.life.turns > 0
        turn: Turn | None = None
        try:
            turn = await socket.ask(message, hold=hold)
            early = await self._early(turn)
        except (UpstreamFailure, OSError) as error:
            socket.close(Reason.LOST)
            raise self._failure(turn, len(message), error, reused=reused) from error
        except BaseException:
            socket.close(Reason.ABANDONED)
            raise
        first = early[-1]
        if classify(first) is Kind.ERROR:
            return self._refused(socket, turn, early, again=reused)
        return SocketReply(socket, turn, early, put_back=self._stock.put_back)

    async def _early(self, turn: Turn) -> list[bytes]:
        """Return what comes up to the first event that is not private."""
        early: list[bytes] = []
        while len(early) < EARLY_MAX:
            data = await turn.read()
            early.append(data)
            if classify(data) is not Kind.PRIVATE:
                break
        return early

    def _refused(
        self, socket: Socket, turn: Turn, early: list[bytes], *, again: bool
    ) -> UpstreamReply:
        """Say what an error means that is the first thing to come."""
        code = failure_of(early[-1]).code
        said: Refusal | None = refusal(early[-1])
        unknown = said is not None and b"previous_response_id" in early[-1]
        if again and (code in _NOT_HERE or unknown):
            socket.close(Reason.FAILED)
            raise _Stale
        if said is None:
            return SocketReply(socket, turn, early, put_back=self._stock.put_back)
        socket.close(Reason.FAILED)
        return RefusalReply(said)

    def _failure(
        self, turn: Turn | None, size: int, error: Exception, *, reused: bool
    ) -> Exception:
        """Return what it means that a socket broke off before the first event."""
        code = turn.failure[0] if turn is not None and turn.failure is not None else 1006
        if code == _TOO_BIG:
            self.detours.too_large(size, self._clock.monotonic())
            return NoSocket("too_large")
        if code == _POLICY:
            return NoSocket("policy")  # it may be about the credential: HTTP will tell
        if reused:
            return _Stale()
        reason = error.reason if isinstance(error, UpstreamFailure) else "socket closed"
        return UpstreamFailure(reason, sent=True)

    async def _new(self, account: Account, ours: Introduction) -> Socket | RefusalReply:
        """Dial a socket for a call."""
        self._retire_older(account)
        if self.detours.avoid(account.id, self._clock.monotonic()):
            raise NoSocket("avoided")
        while not self._stock.room(account.id):
            evicted = self._stock.evict(account.id)
            if evicted is None:
                raise NoSocket("full")
            evicted.close(Reason.EVICTED, now=False)
        over = self._stock.dial(account.id)
        try:
            target = Target(self._url, ours.handshake, account.proxy_url)
            connection = await self._dial(target)
        except Rejected as rejected:
            return self._rejected(account, rejected)
        except Unreachable as error:
            self.handshakes["failed"] += 1
            self.detours.failed(account.id, self._clock.monotonic())
            raise NoSocket("failed") from error
        finally:
            over()
        self.handshakes["opened"] += 1
        self.detours.worked(account.id)
        socket = Socket(
            ours.key,
            connection,
            clock=self._clock,
            rng=self._rng,
            traffic=self.traffic,
            closed=self._closed,
        )
        self._stock.add(socket)
        if not self._open:
            socket.close(Reason.DRAIN)
            raise NoSocket("closed")
        return socket

    def _rejected(self, account: Account, rejected: Rejected) -> RefusalReply:
        now = self._clock.monotonic()
        epoch = self._clock.now()
        what = judge(rejected.status, rejected.headers, rejected.body, now=epoch)
        self.handshakes[what.value] += 1
        match what:
            case Refused.ANSWER:
                return RefusalReply(Refusal(rejected.status, rejected.headers, rejected.body))
            case Refused.NO_SOCKETS:
                self.detours.no_sockets(account.id, now)
            case Refused.THROTTLED:
                self.detours.throttled(pause_s(rejected.headers, now=epoch), now)
            case Refused.FAILED:
                self.detours.failed(account.id, now)
        raise NoSocket(what.value)

    def _retire_older(self, account: Account) -> None:
        """Let go of sockets whose credential has been renewed since."""
        generation = account.credential.generation
        for socket in self._stock.of(account.id):
            if socket.key.generation < generation:
                self._retire(socket, Reason.CREDENTIAL)

    def _retire(self, socket: Socket, reason: Reason) -> None:
        socket.life.retire(reason)
        if socket.life.phase is Phase.IDLE:
            socket.close(reason, now=False)

    def _closed(self, socket: Socket, reason: Reason, at_once: bool) -> None:  # noqa: FBT001 - the socket's callback
        """Take in that a socket ends."""
        self._stock.remove(socket)
        self.cleanups[reason.value] += 1
        if at_once or not self._open:
            socket.connection.abort()
        else:
            self._closing += 1
            self._group.create_task(self._close(socket))

    async def _close(self, socket: Socket) -> None:
        try:
            await socket.connection.close()
        except Exception:
            # The pool's group would end the gateway for it.
            logger.exception("a socket could not be closed properly")
        finally:
            self._closing -= 1
            socket.connection.abort()


def _message(call: Call, ours: Introduction, *, held: str | None) -> bytes:
    """Return what is sent: the increment alone where the socket holds what it adds to."""
    previous = call.previous_response_id
    if call.delta is not None and previous is not None and held == previous:
        return opening(call.delta, ours.metadata, previous=previous)
    return opening(call.body, ours.metadata)
