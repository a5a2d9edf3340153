"""The books of one worker: what is written down of calls, and what callers' keys may spend.

The journal is opened before the first call and closed after the last; what lies in it from earlier
is moved into the database first, so that budgets know what was spent before a crash.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from secrets import token_hex
from typing import Final

from app.allowance.book import AllowanceBook
from app.allowance.budget import Period, began_at
from app.domain.caller import Caller, KeyId
from app.domain.report import Spent
from app.domain.runtime import RuntimeSettings
from app.domain.shared import KeySpent
from app.edge.till import Till
from app.errors import StateError
from app.ports import Clock
from app.settings import Settings
from app.store.belonging import claim
from app.store.store import Store, database_name
from app.telemetry.usage_gauges import JournalState
from app.usage.accountant import Accountant
from app.usage.journal import Journal
from app.usage.mover import Mover
from app.usage.prices import PriceTable

LAST_FLUSH_S: Final = 5.0
"""What a worker that goes away waits for the database; the next one moves what is left."""
JOURNAL: Final = "journal"
"""Below the data directory."""
SWEEP_S: Final = 600.0
"""Between two looks for rows that are too old."""
SWEEP_AGAIN_S: Final = 5.0
"""After a look that has left some over."""
SWEEP_PAUSE_S: Final = 0.05
"""Between two transactions of a look: others get their turn."""
_NOTHING: Final = Spent(0, 0)

_log = logging.getLogger(__name__)


class Books:
    """The parts, and how they take over what the store says."""

    mover: Mover

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self.incarnation = token_hex(8)
        """The name of this process, which none had before it."""
        self._settings = settings
        self._store = store
        self._clock = clock
        self._priced: int | None = None
        self._runtime = RuntimeSettings()
        self.journal = Journal(settings.data_dir / JOURNAL, incarnation=self.incarnation)
        self.accountant = Accountant(self.journal, incarnation=self.incarnation, clock=clock)
        self.allowance = AllowanceBook()
        self.said: Callable[[KeyId], KeySpent] = KeySpent
        """Tells what other processes have said of a key so far."""
        self.till = Till(book=self.allowance, accountant=self.accountant, clock=clock)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open the journal, and move into the database what earlier workers have left.

        Raises:
            StateError: There is no place for a journal, or it belongs to another database.
        """
        claim(
            self._settings.data_dir / JOURNAL,
            installation=self._store.installation,
            database=database_name(self._settings),
        )
        try:
            self.journal.open()
        except OSError as error:
            raise StateError(f"There is no room for a journal: {error.strerror}.") from error
        ledger = self._store.ledger(self._clock)
        self.mover = Mover(journal=self.journal, ledger=ledger, sleep=asyncio.sleep)
        try:
            with suppress(StateError):  # the mover says so itself, and goes on trying
                await self.mover.adopt()
                await self.mover.flush()
            yield
            self.journal.append_awaited()
            with suppress(StateError, TimeoutError):
                async with asyncio.timeout(LAST_FLUSH_S):
                    await self.mover.flush()
        finally:
            self.journal.close()

    async def sync(self) -> None:
        """Keep the journal safe on the disk, until cancelled."""
        await self.journal.run(sleep=asyncio.sleep)

    async def move(self) -> None:
        """Move the journal into the database, until cancelled."""
        await self.mover.run()

    async def tidy(self) -> None:
        """Delete the rows that are older than the operator keeps them, until cancelled."""
        retention = self._store.retention(pause=partial(asyncio.sleep, SWEEP_PAUSE_S))
        while True:
            wait_s, runtime = SWEEP_S, self._runtime
            try:
                swept = await retention.sweep(
                    self._clock.now(),
                    log_days=runtime.log_days,
                    hours_days=runtime.hours_days,
                    audit_days=runtime.audit_days,
                )
            except StateError as error:
                _log.warning("rows_not_deleted reason=%s", error.message)
            else:
                if not swept.complete:
                    wait_s = SWEEP_AGAIN_S
                if any(swept.rows.values()):
                    _log.info("rows_deleted %s", swept.rows)
            await asyncio.sleep(wait_s)

    async def learn(self, callers: Iterable[Caller], runtime: RuntimeSettings) -> None:
        """Take over prices and limits; what new limited keys have spent before is looked up.

        Raises:
            StateError: The store is away; nothing was taken over that matters.
        """
        self._runtime = runtime
        table = PriceTable(runtime.prices)
        if table.version != self._priced:
            now = self._clock.now()
            await self._store.prices.keep(table.version, table.document.decode(), at=now)
            self.accountant.prices, self._priced = table, table.version
        known = {caller.id: caller for caller in callers}
        self.allowance.keep(known)
        strangers = self.allowance.strangers(known.values())
        if strangers:
            for key_id in strangers:
                self.allowance.introduce(self.said(key_id))
            await self._count(strangers)

    async def recount(self) -> None:
        """Read anew what keys with a budget have spent, in all processes together.

        Raises:
            StateError: The store is away.
        """
        if self.allowance.budgeted:
            await self._count(self.allowance.budgeted)

    async def _count(self, keys: Collection[KeyId]) -> None:
        now = self._clock.now()
        month = began_at(Period.MONTH, now=now)
        spending = await self._store.reports.spending(now, month_start=month)
        for key_id in keys:
            spent = spending.get(key_id, _NOTHING)
            self.allowance.stored(key_id, Period.DAY, spent.day_nusd, now=now)
            self.allowance.stored(key_id, Period.MONTH, spent.month_nusd, now=now)

    def state(self) -> JournalState:
        """Return how the journal is now."""
        journal, mover = self.journal, self.mover
        moved = mover.reached + journal.lost
        return JournalState(
            depth=journal.appended + journal.late - moved,
            age_s=self.accountant.age_s(moved),
            healthy=journal.healthy,
            lost=journal.lost,
            refused=mover.refused + mover.flaws,
        )
