"""What one worker shares with the others: the client of Redis, the rounds, and who is told what.

With state in memory there are no others: every account is this worker's whole, leases are its own,
and nothing runs. With Redis a `Syncer` keeps everybody informed, and the pool uses of each account
what this worker has a share of. What others announce and the store has to be read for is done in
`follow`, one thing after the other.
"""

import asyncio
import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

from app import __version__
from app.clock import SystemClock
from app.compose.books import Books
from app.compose.leaving import Leaving
from app.domain.account import Account, AccountId
from app.domain.call import Call
from app.domain.shared import AccountRested, Draining, KeySpent, Presence, QuotaHeard, SharedEvent
from app.edge.inflight import InFlight
from app.errors import StateError
from app.pool.pool import AccountPool
from app.ports import SharedState
from app.relay.admission import Admission
from app.settings import Driver, Settings
from app.shared.cancellation import cancelled
from app.shared.memory import Hub, MemoryShared
from app.shared.sync import Receivers, Sources, Syncer
from app.store.keys import KeyBook
from app.store.store import Store

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from app.shared.owners import Owners
    from app.shared.redis import RedisShared

RECOUNT_S: Final = 15.0
"""How often the database is asked what keys with a budget have spent."""
RECOUNT_ALONE_S: Final = 3.0
"""The same while the others can't be heard."""
ALONE_S: Final = 5.0
"""Without a word for this long, what the others had under way counts as over."""


class Worker(Protocol):
    """The parts of a gateway that others speak to and hear of."""

    pool: AccountPool
    admission: Admission
    books: Books
    keys: KeyBook
    store: Store
    in_flight: InFlight
    leaving: Leaving
    clock: SystemClock
    revision: int

    async def reload(self) -> None:
        """Take over what the store holds; see `app.compose.gateway`."""

    def take_over(self, account: Account) -> None:
        """Take over one account that another process has changed."""


class Sharing:
    """One worker's link to the others; `redis` is for whoever else keeps something there.

    `redis` is None with state in memory. Its waits are bounded as `app.shared.client` says, it may
    be away at any time, and whoever uses it keeps a `Breaker` (`app.shared.breaker`) of its own.
    """

    def __init__(
        self, settings: Settings, *, incarnation: str, clock: SystemClock, rng: Random
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self.redis: Redis | None = None
        self.shared: SharedState
        self._link: RedisShared | None = None  # noqa: F823 - never evaluated
        self._owners: Owners | None = None  # noqa: F823 - never evaluated
        if settings.cache_driver is Driver.REDIS:
            # Nine megabytes that a process by itself has no use for.
            from app.shared.client import client_of  # noqa: PLC0415
            from app.shared.owners import Owners  # noqa: PLC0415
            from app.shared.redis import RedisShared  # noqa: PLC0415

            self.redis = client_of(settings)
            self._owners = Owners(self.redis, clock=clock)
            self._link = RedisShared(
                client=client_of(settings), incarnation=incarnation, clock=clock
            )
            self.shared = self._link
        else:
            self.shared = MemoryShared(Hub(now=clock.monotonic), incarnation=incarnation)
        self.syncer: Syncer | None = None
        self._worker: Worker
        self._roster: dict[AccountId, int] = {}
        self._renewed: dict[AccountId, int] = {}
        """Accounts that have a new credential, and its generation."""
        self._stale = False
        self._told = -1
        """The latest state of the store that others know of, as far as we know."""
        self._woken = asyncio.Event()
        self._counted = 1
        """Processes that had the database open when it was last asked."""

    def join(self, worker: Worker) -> None:
        """Bring the worker's parts and the others together; nothing is dialled yet."""
        self._worker = worker
        if self._link is None:
            return
        pool, clock, began_at = worker.pool, self._clock, self._clock.now()
        self._host, pid = socket.gethostname(), os.getpid()
        pool.company.join(self.announce)
        worker.books.said = self.shared.view().spent
        incarnation = self.shared.incarnation
        self.syncer = Syncer(
            shared=self.shared,
            sources=Sources(
                counters=lambda since: pool.changes.counters(incarnation=incarnation, since=since),
                account=pool.state,
                roster=lambda: self._roster,
                waiting=lambda: worker.admission.waiting,
                spent=self._spent,
                presence=lambda: Presence(
                    __version__,
                    self._host,
                    pid,
                    began_at,
                    worker.revision,
                    worker.in_flight.draining,
                    os.getppid(),
                ),
                bindings=pool.company.bindings,
            ),
            receivers=self._receivers(worker),
            clock=clock,
            rng=self._rng,
            processes_expected=lambda: max(self._settings.workers, self._counted),
        )

    def _receivers(self, worker: Worker) -> Receivers:
        pool, now = worker.pool, self._clock.now
        company, serve_line = pool.company, worker.admission.serve_line

        def rested(news: AccountRested) -> None:
            company.rest(news, now=now())

        def reset(account_id: AccountId) -> None:
            pool.reset(account_id, now=now())
            serve_line()

        def quota(news: QuotaHeard) -> None:
            pool.observe(news.account_id, news.view, model=news.model, now=now(), overheard=True)

        def spent(news: KeySpent) -> None:
            monotonic = self._clock.monotonic()
            worker.books.allowance.hear(news, now=now(), monotonic=monotonic)

        def limit(account_id: AccountId, share: int) -> None:
            company.limit(account_id, share, now=now())

        return Receivers(
            limit=limit,
            shared=serve_line,
            spent=spent,
            bound=company.bind,
            rested=rested,
            reset=reset,
            quota=quota,
            renewed=self._note_renewed,
            changed=self._note_changed,
            revoked=worker.keys.revoke,
            drain=worker.leaving.retire,
            missed=self._note_missed,
        )

    def _spent(self) -> Sequence[KeySpent]:
        allowance = self._worker.books.allowance
        allowance.alone = self.age_s > ALONE_S
        return allowance.take_spent(now=self._clock.now())

    def announce(self, event: SharedEvent) -> None:
        """Tell the others, as soon as they can be reached. Never waits."""
        if self.syncer is not None:
            self.syncer.announce(event)

    def drain_siblings(self) -> None:
        """Tell the other workers of this server to take nothing new; other servers go on."""
        for name, who in self.shared.view().presences:
            if (who.host, who.parent) == (self._host, os.getppid()):
                self.announce(Draining(name))

    def hurry(self) -> None:
        """Say that calls stand in line, which others may be able to help."""
        if self.syncer is not None:
            self.syncer.hurry()

    async def recall(self, call: Call) -> None:
        """Find out whose a call's encrypted items are that are not known here."""
        if self._owners is None or not call.owner_keys:
            return
        pool, now = self._worker.pool, self._clock.now()
        unknown = [key for key in call.owner_keys if pool.owner(key, now=now) is None]
        if unknown:
            pool.company.bind(await self._owners.find(unknown))

    @property
    def others(self) -> SharedState | None:
        """What this worker shares with others, None if there can be none."""
        return self._link

    @property
    def settled(self) -> bool:
        """Tell whether this worker has its shares, so that it can be called ready."""
        return self.syncer is None or self.syncer.settled

    @property
    def age_s(self) -> float:
        """How old the last word of the others is; 0 if there can be none."""
        return 0.0 if self.syncer is None else self.syncer.age_s

    def reloaded(self, revision: int, accounts: Iterable[Account]) -> bool:
        """Note what was taken over from the store; True if the others are to hear of it."""
        roster = {each.id: each.concurrency_max for each in accounts if each.enabled}
        if roster != self._roster:
            self._roster = roster
            if self.syncer is not None:
                self.syncer.roster_changed()
        news = self._told < revision and self._told >= 0
        self._told = max(self._told, revision)
        return news

    async def run(self) -> None:
        """Speak with the others until cancelled; returns at once if there can be none."""
        if self.syncer is not None:
            await self.syncer.run()

    async def follow(self) -> None:
        """Take over what the others say is in the store, until cancelled."""
        if self.syncer is None:
            return
        while not cancelled():
            await self._woken.wait()
            self._woken.clear()
            renewed, self._renewed = self._renewed, {}
            stale, self._stale = self._stale, False
            with suppress(StateError):  # then the worker's own look at the store will bring it
                for account_id, generation in renewed.items():
                    await self._take_over(account_id, generation)
                if stale:
                    await self._worker.reload()

    async def count(self) -> None:
        """Ask the database how many processes there are, for when the others can't be asked.

        Do so once before `run`: a process that begins without Redis takes a part, not all.
        """
        if self.syncer is not None:
            with suppress(StateError):
                self._counted = await self._worker.store.processes()

    async def recount(self) -> None:
        """Ask the database now and then what was spent elsewhere, until cancelled."""
        if self.syncer is None:
            return
        books = self._worker.books
        while not cancelled():
            await asyncio.sleep(RECOUNT_S if self.shared.up else RECOUNT_ALONE_S)
            with suppress(StateError):
                await books.recount()
            if not self.shared.up:
                await self.count()

    async def close(self) -> None:
        """Let go of all connections."""
        if self._link is not None:
            await self._link.close()
        if self.redis is not None:
            await self.redis.aclose()

    async def _take_over(self, account_id: AccountId, generation: int) -> None:
        known = self._worker.pool.account(account_id)
        if known is None or known.credential.generation >= generation:
            return
        account = await self._worker.store.accounts.account(account_id)
        if account is not None:
            self._worker.take_over(account)

    def _note_renewed(self, account_id: AccountId, generation: int) -> None:
        self._renewed[account_id] = generation
        self._woken.set()

    def _note_changed(self, revision: int) -> None:
        self._told = max(self._told, revision)
        if revision > self._worker.revision:
            self._stale = True
            self._woken.set()

    def _note_missed(self) -> None:
        self._stale = True
        self._woken.set()
