"""Renews every credential before it ends, and at once when the upstream refuses it.

    due ──▶ flight ──▶ renewed ─────▶ due again before its end
                  ├──▶ known failure ▶ due again soon, with backoff
                  ├──▶ unknown ──────▶ due again when there is least to lose
                  └──▶ refused ──────▶ never; it serves until its access token ends

Rule 1: an account has one flight at a time; whoever else wants it shares that one.
Rule 2: a flight is the renewer's own task: no caller's cancellation reaches it, and when the
renewer itself is cancelled it lands first.
Rule 3: of two credentials the one with the higher generation counts, whoever brought it.
Rule 4: every flight leaves an event with the account, and with it when the next one is planned.

`run` must be running for anything to be renewed. Whether an account is used is the pool's
business; it hears of all this through `RenewalNews`.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from random import Random

from msgspec import Struct, structs

from app.accounts.deadlines import RenewalPolicy, renewal_at, retry_at, risk_at, settled_at
from app.accounts.lane import Lane, Sleep
from app.accounts.renewal import (
    Adopted,
    Postponed,
    Refused,
    Renewal,
    Renewed,
    Result,
    Uncertain,
    remembered,
)
from app.accounts.roster import Entry, Roster
from app.domain.account import Account, AccountId
from app.errors import StateError
from app.ports import AccountSource, AuthServer, Clock, CredentialStore, SharedState

__all__ = ["CredentialRenewer", "RenewalNews", "RenewalPolicy", "Timing"]

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
    shared: SharedState | None = None
    """The other processes, which use the same lane; None if there can be none."""


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
        self._store = store
        self._source = source
        self._timing = timing
        self._policy = timing.policy
        self._news = news
        self._roster = Roster()
        clock, sleep = timing.clock, timing.sleep
        self._lane = Lane(
            spacing_s=timing.policy.spacing_s, clock=clock, sleep=sleep, shared=timing.shared
        )
        self._renewal = Renewal(
            server=server,
            store=store,
            source=source,
            lane=self._lane,
            clock=clock,
            sleep=sleep,
            plan=self._fresh_until,
        )
        self._group: asyncio.TaskGroup | None = None
        self._flights: dict[AccountId, asyncio.Task[Account | None]] = {}
        self._aloft: set[asyncio.Task[Account | None] | asyncio.Task[None]] = set()
        """All flights, also those that have only their event to write yet."""
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
            self._plan(entry, fresh=told.generation > known.generation)

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
            if account is None or account.id != account_id:
                return account
            if account.credential.generation > generation:
                return account
        return None

    def urge(self, account_id: AccountId, *, generation: int) -> None:
        """Renew soon what was refused: nobody may be left who waits for it."""
        entry = self._roster.get(account_id)
        if entry is not None and entry.generation <= generation:
            self._urge(entry)

    async def run(self) -> None:
        """Renew what falls due, until cancelled; a flight under way lands first.

        Reads all accounts from the store at once, then every `sweep_s`. May be run again.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._renewal.closing = self._lane.closing = False
            try:
                await self._serve(group)
            finally:
                self._renewal.closing = self._lane.closing = True
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
        with suppress(StateError):
            await self._store.forget_events(at=self._timing.clock.now())
        return self._policy.sweep_s

    async def _pause(self, group: asyncio.TaskGroup, delay_s: float) -> None:
        """Wait for the next deadline, `delay_s` at most, or until a deadline changes.

        Deadlines are points of the wall clock, which may be set, or go on while the machine
        sleeps; so it is looked at now and then.
        """
        delay_s = min(delay_s, self._policy.look_s)
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
        while self._aloft:
            try:
                await asyncio.wait(self._aloft)
            except asyncio.CancelledError:
                continue

    def _urge(self, entry: Entry) -> asyncio.Task[Account | None] | None:
        """Return a flight for an entry whose access token was refused; None if it must wait."""
        entry.refused = True
        if not entry.renewable:
            return None
        if self._timing.clock.now() >= entry.not_before:
            return self._fly(entry)
        # The access token that was to be saved till its end is worth nothing any more.
        if entry.due_at is None or entry.due_at > entry.not_before:
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
            flight = self._group.create_task(self._flight(account), name=name)
            self._flights[account.id] = flight
            self._aloft.add(flight)
            flight.add_done_callback(self._aloft.discard)
        return self._flights[account.id]

    async def _flight(self, account: Account) -> Account | None:
        try:
            result = await self._renewal.run(account)
            landed = self._conclude(account, result)
        except Exception:  # noqa: BLE001 - a supervisor: one fault would cut off all other flights
            _log.exception("renewal_broke account=%s", account.id)
            result, landed = Uncertain("internal_error"), None
            self._conclude_failure(account.id, result)
        finally:
            del self._flights[account.id]
        if isinstance(result, Refused) and result.untold is not None:
            self._insist(account.id, result)
        await self._remember(account.id, result)
        return landed

    def _insist(self, account_id: AccountId, refused: Refused) -> None:
        """See to it that the store hears of a dead token, beside everything else."""
        if self._group is not None:
            telling = self._group.create_task(self._renewal.tell(account_id, refused))
            self._aloft.add(telling)
            telling.add_done_callback(self._aloft.discard)

    async def _remember(self, account_id: AccountId, result: Result) -> None:
        """Keep the event of a flight, as far as the store lets us: it is only for people."""
        entry = self._roster.get(account_id)
        now = self._timing.clock.now()
        event = remembered(result, at=now, next_at=entry.due_at if entry else None)
        if entry is None or event is None:
            return
        try:
            await self._store.remember(account_id, event)
        except Exception as error:  # noqa: BLE001 - an event is not worth a flight
            _log.warning("event_not_stored account=%s error=%s", account_id, type(error).__name__)

    def _conclude(self, started: Account, result: Result) -> Account | None:
        """Draw the conclusions; return the account if it has a newer credential now."""
        entry = self._roster.get(started.id)
        if entry is None:
            return None
        match result:
            case Renewed(account, due_at) if account.id != started.id:
                return self._merge(started.id, account, due_at)
            case Renewed(account, due_at) if account.credential.generation >= entry.generation:
                entry.adopt(account)
                # A refusal right after a renewal will not be cured by another one.
                entry.not_before = self._timing.clock.now() + self._policy.apart_s
                self._schedule(entry, due_at if entry.renewable else None)
                self._news.renewed(account)
                return account
            case Adopted(account) if account.credential.generation >= entry.generation:
                entry.adopt(account)
                self._plan(entry, fresh=True)
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

    def _merge(self, gone: AccountId, account: Account, due_at: float | None) -> Account:
        """Go on with the account that another one turned out to be, and whose credential it got.

        A flight of its own that is under way lands as `Adopted`.
        """
        self._roster.remove(gone)
        entry = self._roster.get(account.id) or self._roster.add(account)
        if account.credential.generation >= entry.generation:
            entry.adopt(account)
            self._schedule(entry, due_at)
            self._news.renewed(account)
        return account

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
                asked_s = result.retry_after_s if isinstance(result, Refused) else None
                due_at = retry_at(
                    entry.failures,
                    now=now,
                    policy=policy,
                    rng=self._timing.rng,
                    retry_after_s=asked_s,
                )
                entry.not_before = due_at
        self._schedule(entry, due_at)

    def _plan(self, entry: Entry, *, fresh: bool = False) -> None:
        """Set the deadline that the entry's credential itself gives."""
        due_at: float | None = None
        if entry.renewable:
            due_at = self._timing.clock.now()
            if entry.account.credential.access_token:
                due_at = self._renewal_at(entry.account.credential.expires_at, fresh=fresh)
            due_at = max(due_at, entry.not_before)
        self._schedule(entry, due_at)

    def _schedule(self, entry: Entry, due_at: float | None) -> None:
        self._roster.schedule(entry, due_at)
        self._woken.set()

    def _fresh_until(self, expires_at: float | None) -> float:
        return self._renewal_at(expires_at, fresh=True)

    def _renewal_at(self, expires_at: float | None, *, fresh: bool) -> float:
        now, rng = self._timing.clock.now(), self._timing.rng
        return renewal_at(expires_at, fresh=fresh, now=now, policy=self._policy, rng=rng)
