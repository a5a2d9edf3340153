"""Renews every credential before it ends, and at once when the upstream refuses it.

    due ──▶ flight ──▶ renewed ─────▶ due again before its end
                  ├──▶ known failure ▶ due again soon, with backoff
                  ├──▶ unknown ──────▶ due again when there is least to lose
                  └──▶ refused ──────▶ never; it serves until its access token ends

Rule 1: an account has one flight at a time; whoever else wants it shares that one.
Rule 2: a flight is the renewer's own task: no caller's cancellation reaches it, and when the
renewer itself is cancelled it lands first.
Rule 3: of two credentials the one with the higher generation counts, whoever brought it.

`run` must be running for anything to be renewed. Whether an account is used is the pool's
business; it hears of all this through `RenewalNews`.
"""

import asyncio
import logging
from collections.abc import Callable
from random import Random

from msgspec import Struct, structs

from app.accounts.deadlines import RenewalPolicy, renewal_at, retry_at, risk_at, settled_at
from app.accounts.renewal import (
    AccountSource,
    Adopted,
    Lane,
    Postponed,
    Refused,
    Renewal,
    Renewed,
    Result,
    Sleep,
    Uncertain,
)
from app.accounts.roster import Entry, Roster
from app.domain.account import Account, AccountId
from app.errors import StateError
from app.ports import AuthServer, Clock, CredentialStore

__all__ = ["AccountSource", "CredentialRenewer", "RenewalNews", "RenewalPolicy", "Timing"]

_log = logging.getLogger(__name__)


class RenewalNews(Struct, frozen=True):
    """Whom to tell; neither may wait."""

    renewed: Callable[[Account], None]
    """The account has a new credential, from us or from another process."""
    failed: Callable[[AccountId, bool, str], None]
    """A renewal failed: the account, whether for good, and the code."""


class Timing(Struct, frozen=True):
    """Time and chance, so that a test can hold both still."""

    clock: Clock
    sleep: Sleep
    rng: Random
    policy: RenewalPolicy = RenewalPolicy()


class CredentialRenewer:
    """Keeps the credentials of one client id alive."""

    def __init__(
        self,
        *,
        server: AuthServer,
        store: CredentialStore,
        source: AccountSource,
        timing: Timing,
        news: RenewalNews,
    ) -> None:
        self._source = source
        self._timing = timing
        self._policy = timing.policy
        self._news = news
        self._roster = Roster()
        clock, sleep = timing.clock, timing.sleep
        lane = Lane(spacing_s=timing.policy.spacing_s, clock=clock, sleep=sleep)
        self._renewal = Renewal(
            server=server, store=store, source=source, lane=lane, clock=clock, sleep=sleep
        )
        self._group: asyncio.TaskGroup | None = None
        self._flights: dict[AccountId, asyncio.Task[Account | None]] = {}
        self._woken = asyncio.Event()

    def watch(self, account: Account) -> None:
        """Take an account as it is now: a new one, or one that changed elsewhere.

        A copy that is older than what is known is ignored.
        """
        entry = self._roster.get(account.id)
        if entry is None:
            self._plan(self._roster.add(account))
            return
        known, told = entry.account.credential, account.credential
        if told.generation < known.generation:
            return
        entry.account = account
        if told.generation > known.generation:
            entry.adopt(account)
        if told != known:
            self._plan(entry)

    def forget(self, account_id: AccountId) -> None:
        """Renew this account no more; a flight that is under way still lands."""
        self._roster.remove(account_id)

    async def renew_now(self, account_id: AccountId, *, generation: int) -> Account | None:
        """Return the account with a newer credential than the refused one of `generation`.

        Waits for the exchange if one is needed, together with everybody else who wants it.
        None means that there is no newer one to be had now: try another account. Cancelling
        only ends the waiting.
        """
        # A first flight may only catch up with the generation that was refused.
        for _ in range(2):
            entry = self._roster.get(account_id)
            if entry is None:
                return None
            if entry.generation > generation:
                return entry.account
            flight = self._flights.get(account_id) or self._urge(entry)
            account = None if flight is None else await asyncio.shield(flight)
            if account is None or account.credential.generation > generation:
                return account
        return None

    async def run(self) -> None:
        """Renew what falls due, until cancelled; a flight under way lands first.

        Reads all accounts from the store at once, then every `sweep_s`. May be run again.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._renewal.closing = False
            try:
                await self._serve(group)
            finally:
                self._renewal.closing = True
                await self._land()
                self._group = None

    async def _serve(self, group: asyncio.TaskGroup) -> None:
        clock = self._timing.clock
        sweep_at = clock.monotonic()
        while True:
            if clock.monotonic() >= sweep_at:
                sweep_at = clock.monotonic() + await self._sweep()
            entry = self._roster.pop_due(now=clock.now())
            flight = None if entry is None else self._fly(entry)
            if flight is not None:
                # It waits without handing on a cancellation.
                await asyncio.wait([flight])
            else:
                await self._pause(group, sweep_at - clock.monotonic())

    async def _sweep(self) -> float:
        """Compare what is known with the store; return the seconds until the next sweep."""
        known = self._roster.ids()
        try:
            accounts = await self._source.accounts()
        except StateError:
            return self._policy.sweep_retry_s
        for account in accounts:
            entry = self._roster.get(account.id)
            newer = entry is not None and account.credential.generation > entry.generation
            self.watch(account)
            if newer:
                self._news.renewed(account)
        present = {account.id for account in accounts}
        for account_id in known:
            if account_id not in present:
                self.forget(account_id)
        return self._policy.sweep_s

    async def _pause(self, group: asyncio.TaskGroup, delay_s: float) -> None:
        """Wait for the next deadline, `delay_s` at most, or until a deadline changes."""
        due_at = self._roster.next_due_at()
        if due_at is not None:
            delay_s = min(delay_s, due_at - self._timing.clock.now())
        self._woken.clear()
        alarm = group.create_task(self._ring(delay_s))
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()

    async def _ring(self, delay_s: float) -> None:
        await self._timing.sleep(max(0.0, delay_s))
        self._woken.set()

    async def _land(self) -> None:
        """Wait for all flights: one that is cut off would lose the token that it bought.

        They are bounded: by the exchange's timeout, and by the tries that a closing gateway
        gives the store. A second cancellation therefore only ends one round of waiting.
        """
        while self._flights:
            try:
                await asyncio.wait(self._flights.values())
            except asyncio.CancelledError:
                continue

    def _urge(self, entry: Entry) -> asyncio.Task[Account | None] | None:
        """Return a flight for an entry whose access token was refused; None if it must wait."""
        entry.refused = True
        if not entry.renewable:
            return None
        if self._timing.clock.now() >= entry.not_before:
            return self._fly(entry)
        if entry.unknowns:
            # The access token that was to be saved till its end is worth nothing any more.
            self._roster.schedule(entry, entry.not_before)
            self._woken.set()
        return None

    def _fly(self, entry: Entry) -> asyncio.Task[Account | None] | None:
        """Return the account's flight, a new one if need be; None while the gateway closes."""
        account = entry.account
        if account.id not in self._flights:
            if self._group is None or self._renewal.closing:
                return None
            name = f"renew {account.id}"
            self._flights[account.id] = self._group.create_task(self._flight(account), name=name)
        return self._flights[account.id]

    async def _flight(self, account: Account) -> Account | None:
        try:
            return self._conclude(account, await self._renewal.run(account))
        except Exception:  # noqa: BLE001 - a supervisor: one fault would cut off all other flights
            _log.exception("renewal_broke account=%s", account.id)
            self._conclude_failure(account.id, Uncertain("internal_error"))
            return None
        finally:
            del self._flights[account.id]

    def _conclude(self, started: Account, result: Result) -> Account | None:
        """Draw the conclusions; return the account if it has a newer credential now."""
        entry = self._roster.get(started.id)
        if entry is None:
            return None
        match result:
            case Renewed(account) | Adopted(account) if (
                account.credential.generation >= entry.generation
            ):
                entry.adopt(account)
                fresh = isinstance(result, Renewed)
                if fresh:
                    # A refusal right after a renewal will not be cured by another one.
                    entry.not_before = self._timing.clock.now() + self._policy.apart_s
                self._plan(entry, fresh=fresh)
                self._news.renewed(account)
                return account
            case _ if entry.generation > started.credential.generation:
                return entry.account
            case Refused() | Uncertain() | Postponed():
                permanent = isinstance(result, Refused) and result.permanent
                self._conclude_failure(started.id, result)
                self._news.failed(started.id, permanent, result.code)
            case _:
                # Closed: if the renewer runs again, this is where it goes on.
                self._roster.schedule(entry, self._timing.clock.now())
        return None

    def _conclude_failure(
        self, account_id: AccountId, result: Refused | Uncertain | Postponed
    ) -> None:
        entry = self._roster.get(account_id)
        if entry is None:
            return
        now, policy = self._timing.clock.now(), self._policy
        credential = entry.account.credential
        match result:
            case Refused(permanent=True):
                dead = structs.replace(credential, renewable=False)
                entry.account = structs.replace(entry.account, credential=dead)
                due_at = None
            case Uncertain():
                entry.unknowns += 1
                entry.not_before = settled_at(entry.unknowns, now=now, policy=policy)
                ends_at = now if entry.refused else credential.expires_at
                due_at = risk_at(entry.not_before, ends_at, policy=policy)
            case _:
                entry.failures += 1
                due_at = retry_at(entry.failures, now=now, policy=policy, rng=self._timing.rng)
                entry.not_before = due_at
        self._roster.schedule(entry, due_at)
        self._woken.set()

    def _plan(self, entry: Entry, *, fresh: bool = False) -> None:
        """Set the deadline that the entry's credential itself gives."""
        now = self._timing.clock.now()
        credential = entry.account.credential
        due_at: float | None = None
        if entry.renewable:
            due_at = now
            if credential.access_token:
                due_at = renewal_at(
                    credential.expires_at,
                    fresh=fresh,
                    now=now,
                    policy=self._policy,
                    rng=self._timing.rng,
                )
            due_at = max(due_at, entry.not_before)
        self._roster.schedule(entry, due_at)
        self._woken.set()
