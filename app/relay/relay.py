"""Carries a call to an account and its reply back.

This holds the only retry loop in the gateway. It decides nothing itself: the pool says which
account, `ownership` what that account may be shown, `verdict.judge` what next, and the upstream
does the I/O. A call that streams can be tried again until its reply has begun; one that does not
stream until its reply is whole, since its caller has seen nothing before that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Protocol, TypeVar, assert_never

from msgspec import Struct

from app.domain.account import Account, AccountId
from app.domain.call import Call
from app.domain.needs import said
from app.domain.outcome import (
    Abandoned,
    Broken,
    Outcome,
    RateLimited,
    Succeeded,
    Unreachable,
)
from app.errors import (
    CapacityError,
    GatewayError,
    NotSupportedByUpstream,
    UpstreamProtocolError,
    UpstreamRefused,
)
from app.pool.pool import AccountPool, Lease
from app.ports import Clock, Observer, Upstream, UpstreamFailure, UpstreamReply
from app.relay.admission import Admission
from app.relay.attempt import Attempt, Desk
from app.relay.budget import RETRIES_MIN, RetryBudget
from app.relay.deadline import Deadline
from app.relay.diagnosis import read
from app.relay.document import Document, UsageOf
from app.relay.faults import shown_by
from app.relay.heads import no_document, no_stream
from app.relay.ownership import bound_to, unavailable, unsealed
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
    retries_min: int = RETRIES_MIN
    """Retries in ten seconds that are free, see `app.relay.budget`; read at the start only."""


class Fold(Protocol):
    """Collects a whole reply; a new one is made for every attempt."""

    def feed(self, batch: Batch) -> None:
        """Take the next events."""


class Receipt(Protocol):
    """A reply whose head said 200, in one of its forms."""

    async def begin(self, deadline: Deadline) -> Outcome | None:
        """Return None once an answer is there, or what went wrong before it."""

    async def close(self) -> None:
        """Let go of the upstream."""


T = TypeVar("T")
F = TypeVar("F", bound=Fold)
R = TypeVar("R", bound="Receipt")
Make = Callable[[Attempt], Awaitable[T | Outcome]]
Recall = Callable[[Call], Awaitable[None]]
RenewAccount = Callable[[AccountId, int], Awaitable[Account | None]]


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
        recall: Recall | None = None,
    ) -> None:
        """Take `recall` where others may know whose a call's encrypted items are."""
        self._desk = Desk(pool, admission, clock, observer)
        self._upstream = upstream
        self._renew = renew
        self._recall = recall
        self._clock = clock
        self._rng = rng
        self._budget = RetryBudget(retries_min=settings.retries_min)
        self.settings = settings

    async def open(self, call: Call) -> Reply:
        """Return the reply once it has begun: its prelude is over and content is there.

        Until then a failed attempt is made again on another account, unseen by the caller.
        `close` the reply, whatever happens; that settles the lease.

        Raises:
            CapacityError: No account can take the call before its deadline.
            ContextUnavailable: The account that alone can take the call can't.
            UpstreamError: Every attempt failed, or the upstream refused the request.
        """
        return await self._try(call, self._begin)

    async def whole(self, call: Call, make_fold: Callable[[], F]) -> F:
        """Return the fold of a whole reply; an attempt that breaks off is made again.

        Raises: as `open`.
        """

        async def attempt(attempt: Attempt) -> F | Outcome:
            return await self._fold(attempt, make_fold())

        return await self._try(call, attempt)

    async def document(self, call: Call, usage_of: UsageOf) -> Document:
        """Return an answer that is one JSON document; nothing has to be done after that.

        `usage_of` tells what the document says of usage.

        Raises: as `open`.
        """

        def form(upstream: UpstreamReply, attempt: Attempt) -> Document:
            return Document(upstream, attempt=attempt, terms=self._terms(), usage_of=usage_of)

        async def attempt(attempt: Attempt) -> Document | Outcome:
            reply = await self._receive(attempt, form, no_document)
            if isinstance(reply, Document):
                await reply.close()
            return reply

        return await self._try(call, attempt)

    async def _try(self, call: Call, make: Make[T]) -> T:
        """THE loop: make attempts until one succeeds or the verdict is to give up."""
        self._budget.count(self._clock.monotonic())
        search = _Search()
        if self._recall is not None and call.owner_keys:
            await self._recall(call)
        if call.bound_keys:
            search.only = bound_to(call, self._desk.pool, now=self._clock.now())
        while True:
            lease = await self._lease(call, search)
            result = await make(Attempt(self._desk, call, lease))
            if not isinstance(result, Outcome):
                return result
            call = await self._heed(call, lease, result, search)

    async def _lease(self, call: Call, search: "_Search") -> Lease:
        search.attempt += 1
        preferring, search.preferring = search.preferring, None
        asked_at = self._clock.monotonic()
        try:
            lease = await self._desk.admission.lease(
                call,
                excluding=search.excluding,
                avoiding=search.avoiding,
                preferring=preferring,
                only=search.only,
                waited_s=search.waited_s,
            )
        except CapacityError as error:
            waited_s = self._clock.monotonic() - asked_at
            last = self._refusal_of(error, call, search)
            self._desk.observer.refused(call, last.code, waited_s)
            raise last from None
        waited_s = self._clock.monotonic() - asked_at
        search.waited_s += waited_s
        self._desk.observer.leased(call, lease.reason, waited_s)
        return lease

    def _refusal_of(self, error: CapacityError, call: Call, search: "_Search") -> GatewayError:
        """Return how the call is told that it gets no account."""
        last_word = search.last_word
        if error.code == "pool_empty" and not self._desk.pool.able(call.needs):
            words = f"No configured upstream is of a kind that can do this: {said(call.needs)}."
            return NotSupportedByUpstream(words)
        if search.only is not None and error.code != "pool_busy":
            return last_word if isinstance(last_word, UpstreamRefused) else unavailable(error)
        # Every account was tried and failed: how they failed says more than that none is left.
        return last_word if last_word is not None and error.code == "pool_empty" else error

    async def _heed(self, call: Call, lease: Lease, outcome: Outcome, search: "_Search") -> Call:
        """Do what the verdict on a failed attempt says; return the call to try again."""
        account_id = lease.account.id
        search.last_word = last_word(outcome)
        verdict = judge(
            outcome,
            attempt=search.attempt,
            attempts_max=self.settings.attempts_max,
            rng=self._rng,
            budget=self._budget,
            now=self._clock.monotonic(),
        )
        match verdict:
            case GiveUp():
                raise verdict.error
            case TryAnother():
                # An account at a limit rests: once its rest is over, it may serve this call too.
                # And where no other account may take the call, one that broke may not break again.
                again = isinstance(outcome, RateLimited) or (
                    search.only is not None and isinstance(outcome, Broken)
                )
                if not again:
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
                stripped = unsealed(call)
                if stripped is None:
                    raise search.last_word
                return stripped
            case _:
                assert_never(verdict)
        return call

    async def _begin(self, attempt: Attempt) -> Reply | Outcome:
        """Make one attempt at a stream; an outcome means that it is over, its lease settled."""
        return await self._receive(attempt, self._reply, no_stream)

    async def _receive(
        self,
        attempt: Attempt,
        form: Callable[[UpstreamReply, Attempt], R],
        fits: Callable[[UpstreamReply], str | None],
    ) -> R | Outcome:
        """Make one attempt and take in its reply in this form, if it `fits`."""
        upstream: UpstreamReply | None = None
        reply: R | None = None
        outcome: Outcome
        try:
            with Deadline(self.settings.first_event_timeout_s) as deadline:
                call = attempt.addressed()
                upstream = await self._upstream.send(attempt.lease.account, call)
                attempt.hear(upstream.headers)
                if upstream.status != 200:
                    outcome = await self._refusal(upstream, attempt)
                elif unfit := fits(upstream):
                    outcome = Unreachable(unfit)
                else:
                    attempt.streams(upstream.headers)
                    reply = form(upstream, attempt)
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
            attempt.conclude(Abandoned())
            await _drop(reply, upstream)
            raise
        attempt.conclude(outcome)
        await _drop(reply, upstream)
        return outcome

    async def _fold(self, attempt: Attempt, fold: F) -> F | Outcome:
        """Make one attempt to its very end."""
        reply = await self._begin(attempt)
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

    def _terms(self) -> Terms:
        settings = self.settings
        return Terms(
            settings.prelude_bytes_max,
            settings.event_bytes_max,
            settings.idle_timeout_s,
            settings.reply_bytes_max,
        )

    def _reply(self, upstream: UpstreamReply, attempt: Attempt) -> Reply:
        return Reply(upstream, attempt=attempt, terms=self._terms(), clock=self._clock)

    async def _refusal(self, upstream: UpstreamReply, attempt: Attempt) -> Outcome:
        """Read an error reply as far as it matters, and judge it."""
        body = b""
        with suppress(UpstreamFailure):  # half a refusal is one: its status has been said
            while len(body) < self.settings.error_body_bytes_max:
                piece = await upstream.read()
                if piece is None:
                    break
                body += piece
        fault = read(upstream.status, upstream.headers, body, limits=attempt.limits)
        kind, model = attempt.lease.account.kind, attempt.call.model
        return shown_by(fault, kind=kind, model=model, now=self._clock.now())

    async def _renewed(self, lease: Lease) -> bool:
        """Renew the credential that was refused; True if there is a newer one now."""
        generation = lease.account.credential.generation
        try:
            async with asyncio.timeout(self.settings.renewal_wait_s):
                account = await self._renew(lease.account.id, generation)
        except TimeoutError:
            return False
        return account is not None and account.credential.generation > generation


class _Search(Struct):
    """How far the search for an account has come."""

    attempt: int = 0
    waited_s: float = 0.0
    """In line, all attempts together."""
    only: AccountId | None = None
    excluding: frozenset[AccountId] = frozenset()
    avoiding: frozenset[AccountId] = frozenset()
    preferring: AccountId | None = None
    renewed: frozenset[AccountId] = frozenset()
    last_word: GatewayError | None = None


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


async def _drop(reply: Receipt | None, upstream: UpstreamReply | None) -> None:
    if reply is not None:
        await reply.close()
    elif upstream is not None:
        await upstream.abort()
