"""Keeps this process and the others informed of each other, some times a second.

    changed counters, wishes, events ──▶ publish ──▶ news to the receivers ──▶ claims ──▶ shares

A round begins every `INTERVAL_S`, sooner if somebody rings or something urgent is to be said, but
never sooner than `SPACING_S` after the last. No call waits for any of it: calls read what the last
round brought. While the others can't be reached, rounds cost next to nothing, the last view stays,
shares stay as they are, and accounts without a share get the best guess.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from random import Random
from typing import Final, TypeVar

from msgspec import Struct

from app.domain.account import AccountId
from app.domain.caller import KeyId
from app.domain.shared import (
    URGENT,
    AccountReset,
    AccountRested,
    AccountTally,
    Binding,
    Bound,
    CredentialRenewed,
    Draining,
    KeyRevoked,
    KeySpent,
    Missed,
    News,
    Presence,
    QuotaHeard,
    Rung,
    SharedEvent,
    Snapshot,
    StoreChanged,
    Tidings,
)
from app.pool.counters import PoolCounters
from app.pool.state import AccountState, Health
from app.ports import Clock, SharedState, SharedUnavailable
from app.shared.cancellation import cancelled
from app.shared.shares import GRACE_S, Shares, Standing

INTERVAL_S: Final = 0.25
SPACING_S: Final = 0.05
"""Between two rounds, however urgent; also between rounds while a share is on its way."""
WHISPER_S: Final = 0.05
"""Between two words of what belongs to which account: shorter than a caller takes to go on."""
WHISPER_MAX: Final = 500
HASTE_S: Final = 0.1
"""Between rounds while others are short of what this process may give back."""
TRIPS_MAX: Final = 4
"""Questions about shares in one round; what is left over comes in the next."""
TRIPS_ANEW_MAX: Final = 100
"""The same if all shares have to be said again, at once, before others are granted them."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Sources(Struct, frozen=True):
    """Where this process's own figures are read; none may wait."""

    counters: Callable[[int], PoolCounters]
    """The accounts that changed since a number; see `app.pool.counters`."""
    account: Callable[[AccountId], AccountState | None]
    roster: Callable[[], Iterable[AccountId]]
    """All accounts that may be leased."""
    waiting: Callable[[], int]
    """How many calls stand in line for an account."""
    spent: Callable[[], Sequence[KeySpent]]
    """What keys have spent here; at least those that changed since the last question."""
    presence: Callable[[], Presence]
    bindings: Callable[[int], Sequence[Binding]]
    """Takes out so many bindings that the others were not told of."""


class Receivers(Struct, frozen=True):
    """Whom to tell what the others said; none may wait, and each may hear the same thing twice."""

    limit: Callable[[AccountId, int], None]
    """So many calls may be under way with an account; those that are go on."""
    shared: Callable[[], None]
    """Some limit has grown: somebody in line may be served."""
    spent: Callable[[KeySpent], None]
    """The others have spent for a key; what all of them have, all together."""
    bound: Callable[[Sequence[Binding]], None]
    rested: Callable[[AccountRested], None]
    reset: Callable[[AccountId], None]
    quota: Callable[[QuotaHeard], None]
    renewed: Callable[[AccountId, int], None]
    changed: Callable[[int], None]
    revoked: Callable[[KeyId], None]
    drain: Callable[[], None]
    missed: Callable[[], None]
    """Anything may have happened: read everything anew."""


class Syncer:
    """Runs the rounds; `run` it in a task group."""

    def __init__(
        self,
        *,
        shared: SharedState,
        sources: Sources,
        receivers: Receivers,
        clock: Clock,
        rng: Random,
        processes_expected: Callable[[], int] = lambda: 1,
    ) -> None:
        self._shared = shared
        self._sources = sources
        self._receivers = receivers
        self._clock = clock
        self._rng = rng
        self._expected = processes_expected
        self.shares = Shares(limit=self._limit)
        self._since = 0
        self._wanting: dict[AccountId, None] = {}
        self._company = (0, 0)
        self._urgent = False
        self._grew = False
        self._woken = asyncio.Event()
        self._began_at = clock.monotonic()
        self._reached_at: float | None = None
        self._tried = False

    @property
    def age_s(self) -> float:
        """How old the last view of the others is; since the start if there was none yet."""
        heard_at = self._shared.view().heard_at
        return self._clock.monotonic() - (self._began_at if heard_at is None else heard_at)

    @property
    def settled(self) -> bool:
        """Tell whether this process has its shares, or knows that it can't ask for them.

        Until then it has hardly any account to use: don't call it ready.
        """
        if self._reached_at is None:
            return self._tried
        late = self._clock.monotonic() > self._reached_at + 2 * GRACE_S
        return late or (self.shares.settled and self.shares.any)

    def announce(self, event: SharedEvent) -> None:
        """Tell the others, at once if it is urgent and they can be reached. Never waits."""
        self._shared.announce(event)
        if isinstance(event, URGENT):
            self._urgent = True
            self._woken.set()

    def hurry(self) -> None:
        """Begin a round now: calls stand in line, which others may be able to help."""
        if self._shared.view().processes > 1:
            self._woken.set()

    def roster_changed(self) -> None:
        """Note that there are other accounts than before, or other caps."""
        self.shares.roster(self._sources.roster())
        self._woken.set()

    async def run(self) -> None:
        """Keep everybody informed until cancelled; then say the last, and that it was the last.

        It may be begun again after it has failed, as a process that is still there.
        """
        leaving = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen())
                group.create_task(self._whisper())
                group.create_task(self._go_round())
        except Exception:
            leaving = False
            raise
        finally:
            if leaving:
                with suppress(SharedUnavailable):
                    await self._talk(self._looked(), waiting=0)
                await self._shared.leave()

    async def round(self) -> None:
        """Say and hear everything once.

        Raises:
            SharedUnavailable: The others can't be reached; what was to be said is kept.
        """
        waiting = self._sources.waiting()
        looked = self._looked()
        tidings = await self._talk(looked, waiting=waiting)
        self.shares.consider(looked, self._shared.view())
        await self._claim(waiting, anew=not tidings.claims_known)

    def _looked(self) -> dict[AccountId, AccountTally]:
        """Return the accounts that may have changed since the last round, as they were counted."""
        counters = self._sources.counters(self._since)
        self._since = counters.number
        looked = {
            account_id: AccountTally(account_id)
            for account_id in (*self._wanting, *self.shares.turn())
        }
        for count in counters.accounts:
            looked[count.account_id] = AccountTally(
                count.account_id, count.in_flight, 0, count.requests, count.tokens
            )
        return looked

    async def _talk(self, looked: dict[AccountId, AccountTally], *, waiting: int) -> Tidings:
        before, self._wanting = self._wanting, {}
        rows = [self._row(row, waiting) for row in looked.values()]
        newly_short = any(each not in before for each in self._wanting)
        urgent, self._urgent = self._urgent or newly_short, False
        tidings = await self._shared.publish(
            Snapshot(
                # Of accounts that were never used there is nothing to say.
                accounts=[row for row in rows if row.requests or row.wanted or row.id in before],
                keys=self._sources.spent(),
                presence=self._sources.presence(),
                urgent=urgent,
            )
        )
        if self._reached_at is None:
            self._reached_at = self._clock.monotonic()
        for news in tidings.news:
            self._guard(self._tell, news)
        for spent in self._shared.view().spending():
            self._guard(self._receivers.spent, spent)
        return tidings

    async def _claim(self, waiting: int, *, anew: bool) -> None:
        view, shares = self._shared.view(), self.shares
        company = (view.processes, view.rank)
        if anew or company != self._company:
            self._company = company
            shares.claim_anew()
        for _ in range(TRIPS_ANEW_MAX if anew else TRIPS_MAX):
            claims = shares.claims(self._standing, view, waiting=waiting, now=self._clock.now())
            if not claims:
                break
            try:
                held = await self._shared.claim(claims)
            except BaseException:
                shares.unanswered(claims)
                raise
            shares.answered(claims, held)
        if self._grew:
            self._grew = False
            self._receivers.shared()

    async def _go_round(self) -> None:
        while not cancelled():
            began_at = self._clock.monotonic()
            self._woken.clear()
            try:
                await self.round()
            except SharedUnavailable:
                processes = max(self._expected(), self._shared.view().processes)
                self.shares.guess(self._standing, processes)
            self._tried = True
            soon_s = max(0.0, began_at + SPACING_S - self._clock.monotonic())
            await asyncio.sleep(soon_s)
            up = self._shared.up
            if not (up and self.shares.pressed):
                pause_s = HASTE_S if up and self.shares.owing else INTERVAL_S
                await self._rest(pause_s * self._rng.uniform(0.8, 1.1) - SPACING_S)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _listen(self) -> None:
        while not cancelled():
            match await self._shared.bell():
                case Rung():
                    self._woken.set()
                case Bound(bindings):
                    self._guard(self._receivers.bound, bindings)

    async def _whisper(self) -> None:
        while not cancelled():
            await asyncio.sleep(WHISPER_S)
            bindings = self._sources.bindings(WHISPER_MAX)
            if bindings:
                with suppress(SharedUnavailable):
                    await self._shared.bind(bindings)

    def _guard(self, receiver: Callable[[T], None], news: T) -> None:
        try:
            receiver(news)
        except Exception:  # noqa: BLE001 - a supervisor of others' code
            # One event must not stop those that come after it.
            _log.exception("event_not_taken kind=%s", type(news).__name__)

    def _tell(self, news: News) -> None:
        receivers = self._receivers
        match news:
            case AccountRested():
                receivers.rested(news)
            case AccountReset(account_id):
                receivers.reset(account_id)
            case QuotaHeard():
                receivers.quota(news)
            case CredentialRenewed(account_id, generation):
                receivers.renewed(account_id, generation)
            case StoreChanged(revision):
                receivers.changed(revision)
            case KeyRevoked(key_id):
                receivers.revoked(key_id)
            case Draining(incarnation):
                if incarnation in {None, self._shared.incarnation}:
                    receivers.drain()
            case Missed():
                receivers.missed()

    def _row(self, counted: AccountTally, waiting: int) -> AccountTally:
        """Return an account as it is now; as it was counted if it is in the pool no more."""
        state = self._sources.account(counted.id)
        if state is None:
            return counted
        wanted = self.shares.wanted(counted.id, standing(state), waiting=waiting)
        if wanted:
            self._wanting[counted.id] = None
        return AccountTally(counted.id, state.in_flight, wanted, state.requests, state.tokens)

    def _standing(self, account_id: AccountId) -> Standing | None:
        state = self._sources.account(account_id)
        return None if state is None else standing(state)

    def _limit(self, account_id: AccountId, share: int) -> None:
        self._grew = True
        self._receivers.limit(account_id, share)


def standing(state: AccountState) -> Standing:
    """Return how busy an account is, whatever its share."""
    cap = state.account.concurrency_max
    match state.health:
        case Health.READY:
            reach = max(1, min(cap, int(state.window)))
        case Health.PROBING:
            reach = 1 + state.stale
        case _:
            reach = 0
    return Standing(cap, state.in_flight, reach)
