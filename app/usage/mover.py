"""Moves the journal into the database, in order, in batches, without losing or doubling a row.

Each batch is one transaction together with the place up to which it reads, so a batch that is tried
again after a crash finds that place and changes nothing. A segment goes once its rows are committed
and every call that began in it has been answered. While the database is away nothing moves and
nothing is lost; a row that the database refuses for what it is goes to a file of its own.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from app.domain.ledger import AttemptRow, RequestRow
from app.errors import StateError
from app.ports import Ledger, RowRefused
from app.usage.journal import Journal
from app.usage.pairing import Row
from app.usage.reading import Batch, Reading, set_aside
from app.usage.segments import orphans
from app.usage.threads import in_thread

MOVE_S: Final = 0.2
"""Until the next look, while calls are rare."""
BUSY_S: Final = 1.0
"""And where there were rows: a transaction costs as much as forty of them, so many share one."""
ADOPT_S: Final = 30.0
RETRY_MAX_S: Final = 5.0

_log = logging.getLogger(__name__)


class Mover:
    """Moves one worker's journal, and those of workers that are gone from the same place."""

    def __init__(
        self, *, journal: Journal, ledger: Ledger, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._sleep = sleep
        self._own = Reading(journal.folder, journal=journal)
        self._adopted: list[Reading] = []
        self._flaws_of_the_gone = 0
        self.moved = 0
        """Rows that the database has taken."""
        self.refused = 0
        """Rows that it refused for what they are; they lie in the folder `bad`."""
        self.up = True
        """The database took the last batch."""
        self.reached = 0
        """So many records of this worker's journal have been dealt with, if not some more."""

    @property
    def adopted(self) -> int:
        """How many folders of workers that are gone are being moved."""
        return len(self._adopted)

    @property
    def flaws(self) -> int:
        """How many frames held no record, and how many segments broke off; lie in `bad`."""
        readings = (self._own, *self._adopted)
        return self._flaws_of_the_gone + sum(reading.flaws for reading in readings)

    async def run(self) -> None:
        """Move whatever there is, until cancelled."""
        wait_s, adopt_in_s = MOVE_S, 0.0
        while True:
            try:
                if adopt_in_s <= 0:
                    await self.adopt()
                    adopt_in_s = ADOPT_S
                before = self.moved
                await self.flush()
                wait_s, self.up = MOVE_S if self.moved == before else BUSY_S, True
            except StateError as error:
                if self.up:
                    _log.warning("usage_not_moved reason=%s", error.message)
                wait_s = min(RETRY_MAX_S, 2 * (MOVE_S if self.up else wait_s))
                self.up = False
            await self._sleep(wait_s)
            adopt_in_s -= wait_s

    async def flush(self) -> None:
        """Move everything that has been written so far.

        Raises:
            StateError: The database takes nothing now; what was not moved stays where it is.
        """
        written, current = self._journal.written, self._journal.current
        end = (current.number, current.end)
        for reading in (self._own, *self._adopted):
            while (batch := await in_thread(reading.batch)) is not None:
                await self._take(reading, batch)
                reading.done()
                if reading is self._own and (batch.number, batch.offset) >= end:
                    # What has come meanwhile shares the next transaction with what follows it: a
                    # worker that is never idle would move each call in one of its own.
                    break
            spent = reading.spent()
            if spent:
                # In this order: a segment whose place is forgotten would be moved once more.
                await in_thread(reading.drop, spent)
                await self._ledger.forget([reading.name(number) for number in spent])
        for reading in [each for each in self._adopted if each.ended]:
            reading.folder.remove()
            self._adopted.remove(reading)
            self._flaws_of_the_gone += reading.flaws
        self.reached = written

    async def adopt(self) -> None:
        """Take over the folders of workers that have died, and catch up with what they moved.

        Raises:
            StateError: The database can't be asked how far they came; it is tried again later.
        """
        own = self._journal.folder
        for folder in orphans(own.path.parent, own=own.name):
            try:
                reading = Reading(folder, journal=None)
                segments = [reading.name(number) for number in folder.numbers()]
                positions = await self._ledger.positions(segments)
                await in_thread(reading.recall, positions)
            except BaseException:
                folder.release()
                raise
            self._adopted.append(reading)
            _log.info("journal_adopted folder=%s segments=%d", folder.name, len(segments))

    async def _take(self, reading: Reading, batch: Batch) -> None:
        try:
            await self._offer(reading, batch, batch.rows)
        except RowRefused:
            # Few enough are tried one by one; all others go with the batch's place at the end.
            good = [row for row in batch.rows if await self._accepted(reading, batch, row)]
            await self._offer(reading, batch, good)

    async def _accepted(self, reading: Reading, batch: Batch, row: Row) -> bool:
        """Tell whether the database would take this row; if not, set it aside."""
        try:
            await self._ledger.check(*_parted([row]))
        except RowRefused as refused:
            self.refused += 1
            path = reading.folder.aside(batch.number)
            raw = msgspec.json.encode(row)
            await in_thread(set_aside, path, raw, str(refused))
            _log.error("usage_row_refused uid=%s reason=%s", row.uid, refused)
            return False
        return True

    async def _offer(self, reading: Reading, batch: Batch, rows: Sequence[Row]) -> None:
        attempts, requests = _parted(rows)
        segment = reading.name(batch.number)
        await self._ledger.take(attempts, requests, segment=segment, offset=batch.offset)
        self.moved += len(rows)


def _parted(rows: Sequence[Row]) -> tuple[list[AttemptRow], list[RequestRow]]:
    attempts = [row for row in rows if isinstance(row, AttemptRow)]
    return attempts, [row for row in rows if isinstance(row, RequestRow)]
