"""Carries a call to an account and its reply back.

This holds the only retry loop in the gateway. It decides nothing itself: the pool says which
account, `verdict.judge` says what next, the upstream does the I/O. A call that streams can be
tried again until its reply has begun; one that does not stream until its reply is whole, since
its caller has seen nothing before that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Protocol, TypeVar, assert_never

from msgspec import Struct, structs

from app.dialects.responses.encrypted import fingerprint, without
from app.domain.account import Account, AccountId
from app.domain.call import Call
from app.domain.outcome import (
    Abandoned,
    Broken,
    Outcome,
    RateLimited,
    Succeeded,
    Unreachable,
)
from app.errors import CapacityError, GatewayError, UpstreamProtocolError
from app.pool.pool import AccountPool, Lease
from app.ports import Clock, Observer, Upstream, UpstreamFailure, UpstreamReply
from app.relay.admission import Admission
from app.relay.deadline import Deadline
from app.relay.diagnosis import diagnose, read
from app.relay.reply import Batch, Reply, Terms
from app.relay.verdict import GiveUp, Renew, Strip, TryAgain, TryAnother, judge, last_word


class RelaySettings(Struct, frozen=True):
    """What bounds a call; replaced as a whole when an operator changes a setting."""

    attempts_max: int
    first_event_timeout_s: float
    idle_timeout_s: float
    prelude_bytes_max: int
    event_bytes_max: int
    reply_bytes_max: int
    error_body_bytes_max: int
    renewal_wait_s: float


class Fold(Protocol):
    """Collects a whole reply; a new one is made for every attempt."""

    def feed(self, batch: Batch) -> None:
        """Take the next events."""


T = TypeVar("T")
F = TypeVar("F", bound=Fold)
Attempt = Callable[[Call, Lease], Awaitable[T | Outcome]]
RenewAccount = Callable[[AccountId, int], Awaitable[Account | None]]

TURN_STATE = "x-codex-turn-state"


class Relay:
    """Finds an account for a call, and another one if the first fails in time."""

    def __init__(  # noqa: PLR0913 - keyword-only, the parts that compose brings together
        self,
        *,
        pool: AccountPool,
        admission: Admission,
        upstream: Upstream,
        renew: RenewAccount,
        clock: Clock,
        rng: Random,
        observer: Observer,
        settings: RelaySettings,
    ) -> None:
        self._pool = pool
        self._admission = admission
        self._upstream = upstream
        self._renew = renew
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self.settings = settings

    async def open(self, call: Call) -> Reply:
        """Return the reply once it has begun: its prelude is over and content is there.

        Until then a failed attempt is made again on another account, unseen by the caller.
        `close` the reply, whatever happens; that settles the lease.

        Raises:
            CapacityError: No account can take the call before its deadline.
            UpstreamError: Every attempt failed, or the upstream refused the request.
        """
        return await self._try(call, self._begin)

    async def whole(self, call: Call, make_fold: Callable[[], F]) -> F:
        """Return the fold of a whole reply; an attempt that breaks off is made again.

        Raises: as `open`.
        """

        async def attempt(call: Call, lease: Lease) -> F | Outcome:
            return await self._fold(call, lease, make_fold())

        return await self._try(call, attempt)

    async def _try(self, call: Call, make: Attempt[T]) -> T:
        """THE loop: make attempts until one succeeds or the verdict is to give up."""
        search = _Search()
        while True:
            lease = await self._lease(call, search)
            result = await make(call, lease)
            if not isinstance(result, Outcome):
                return result
            call = await self._heed(call, lease, result, search)

    async def _lease(self, call: Call, search: "_Search") -> Lease:
        search.attempt += 1
        preferring, search.preferring = search.preferring, None
        try:
            return await self._admission.lease(
                call,
                excluding=search.excluding,
                avoiding=search.avoiding,
                preferring=preferring,
            )
        except CapacityError as error:
            # Every account was tried and failed: how they failed says more than that none is left.
            if search.last_word is not None and error.code == "pool_empty":
                raise search.last_word from None
            raise

    async def _heed(self, call: Call, lease: Lease, outcome: Outcome, search: "_Search") -> Call:
        """Do what the verdict on a failed attempt says; return the call to try again."""
        account_id = lease.account.id
        attempts_max = self.settings.attempts_max
        search.last_word = last_word(outcome)
        verdict = judge(outcome, attempt=search.attempt, attempts_max=attempts_max, rng=self._rng)
        match verdict:
            case GiveUp():
                raise verdict.error
            case TryAnother():
                # An account at a limit rests: once its rest is over, it may serve this call too.
                if not isinstance(outcome, RateLimited):
                    search.excluding |= {account_id}
            case TryAgain():
                search.avoiding |= {account_id}
                await asyncio.sleep(verdict.after_s)
            case Renew():
                if account_id not in search.renewed and await self._renewed(lease):
                    search.renewed |= {account_id}
                    search.preferring = account_id
                else:
                    search.excluding |= {account_id}
            case Strip():
                stripped = without(call.body)
                if stripped is call.body:
                    raise search.last_word
                return structs.replace(call, body=stripped, owner_keys=())
            case _:
                assert_never(verdict)
        return call

    async def _begin(self, call: Call, lease: Lease) -> Reply | Outcome:
        """Make one attempt; an outcome means that it is over and its lease settled."""
        reply: Reply | None = None
        upstream: UpstreamReply | None = None
        outcome: Outcome
        try:
            with Deadline(self.settings.first_event_timeout_s) as deadline:
                opened_at = self._clock.monotonic()
                upstream = await self._upstream.send(lease.account, self._addressed(call, lease))
                if upstream.status != 200:
                    outcome = await self._refusal(upstream, call)
                elif not _is_stream(upstream):
                    outcome = Unreachable("the reply is no event stream")
                else:
                    reply = self._reply(upstream, call, lease, opened_at)
                    failed = await reply.begin(deadline)
                    if failed is None:
                        return reply
                    outcome = failed
        except UpstreamFailure as failure:
            outcome = _of_transport(failure)
        except UpstreamProtocolError as error:
            outcome = Broken(error.message, sent=True)
        except TimeoutError:
            outcome = Broken("silent before any content", sent=True, silent=True)
        except BaseException:
            self._settle(call, lease, reply, Abandoned())
            await _drop(reply, upstream)
            raise
        self._settle(call, lease, reply, outcome)
        await _drop(reply, upstream)
        return outcome

    async def _fold(self, call: Call, lease: Lease, fold: F) -> F | Outcome:
        """Make one attempt to its very end."""
        reply = await self._begin(call, lease)
        if not isinstance(reply, Reply):
            return reply
        size = 0
        try:
            while (batch := await _next(reply)) is not None:
                size += len(batch.raw)
                if size > self.settings.reply_bytes_max:
                    raise UpstreamProtocolError("The reply is larger than can be collected.")
                fold.feed(batch)
        finally:
            await reply.close()
        if isinstance(reply.outcome, Succeeded):
            return fold
        assert reply.outcome is not None  # noqa: S101 - `close` has settled it
        return reply.outcome

    def _reply(self, upstream: UpstreamReply, call: Call, lease: Lease, opened_at: float) -> Reply:
        settings = self.settings
        account_id = lease.account.id
        # A stream lives for minutes; what was asked may be megabytes and is of no use any more.
        known = structs.replace(call, body=b"")

        def found(name: str) -> None:
            key = f"{call.caller_id}:{name}"
            self._pool.bind(key, account_id, now=self._clock.now())

        for name, value in upstream.headers:
            if name == TURN_STATE:
                found(fingerprint(value))
        return Reply(
            upstream,
            model=call.model,
            opened_at=opened_at,
            terms=Terms(
                settings.prelude_bytes_max, settings.event_bytes_max, settings.idle_timeout_s
            ),
            clock=self._clock,
            settle=lambda outcome: self._conclude(known, lease, outcome),
            found=found,
        )

    def _addressed(self, call: Call, lease: Lease) -> Call:
        """Return the call as it may be sent to this account: another one's state stays here."""
        for name, value in call.headers:
            if name == TURN_STATE:
                key = f"{call.caller_id}:{fingerprint(value)}"
                owner = self._pool.owner(key, now=self._clock.now())
                if owner != lease.account.id:
                    kept = tuple(pair for pair in call.headers if pair[0] != TURN_STATE)
                    return structs.replace(call, headers=kept)
        return call

    async def _refusal(self, upstream: UpstreamReply, call: Call) -> Outcome:
        """Read an error reply as far as it matters, and judge it."""
        body = b""
        with suppress(UpstreamFailure):  # half a refusal is one: its status has been said
            while len(body) < self.settings.error_body_bytes_max:
                piece = await upstream.read()
                if piece is None:
                    break
                body += piece
        fault = read(upstream.status, upstream.headers, body)
        return diagnose(fault, model=call.model, now=self._clock.now())

    async def _renewed(self, lease: Lease) -> bool:
        """Renew the credential that was refused; True if there is a newer one now."""
        generation = lease.account.credential.generation
        try:
            async with asyncio.timeout(self.settings.renewal_wait_s):
                account = await self._renew(lease.account.id, generation)
        except TimeoutError:
            return False
        return account is not None and account.credential.generation > generation

    def _settle(self, call: Call, lease: Lease, reply: Reply | None, outcome: Outcome) -> None:
        if reply is None or reply.outcome is None:
            if reply is not None:
                reply.outcome = outcome
            self._conclude(call, lease, outcome)

    def _conclude(self, call: Call, lease: Lease, outcome: Outcome) -> None:
        self._admission.settle(lease, outcome)
        self._observer.attempt(call, lease.account, outcome)


class _Search(Struct):
    """How far the search for an account has come."""

    attempt: int = 0
    excluding: frozenset[AccountId] = frozenset()
    avoiding: frozenset[AccountId] = frozenset()
    preferring: AccountId | None = None
    renewed: frozenset[AccountId] = frozenset()
    last_word: GatewayError | None = None


def _is_stream(upstream: UpstreamReply) -> bool:
    """Tell whether a 200 is an event stream and not a page or a document in its place."""
    for name, value in upstream.headers:
        if name == "content-type" and not value.lower().startswith("text/event-stream"):
            return False
        if name == "content-encoding" and value.lower() != "identity":
            return False
    return True


def _of_transport(failure: UpstreamFailure) -> Outcome:
    if failure.route:
        return Unreachable(failure.reason)
    return Broken(failure.reason, sent=failure.sent)


async def _next(reply: Reply) -> Batch | None:
    """Return the next events, None at the reply's end, whether it is a good one or a break."""
    try:
        return await reply.read()
    except GatewayError:
        return None


async def _drop(reply: Reply | None, upstream: UpstreamReply | None) -> None:
    if reply is not None:
        await reply.close()
    elif upstream is not None:
        await upstream.abort()
