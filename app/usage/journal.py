"""A worker's journal: what is appended here is not lost, whatever happens to the process.

    append ──▶ the segment ──▶ synced every 100 ms ──▶ moved into the database ──▶ deleted
         └──▶ the backlog, while there is nowhere to write; then `healthy` is False

`append` is one write into the kernel's cache: no waiting, no error to handle. `append_late` is for
what may not be true yet: that an answer has left the process. Of a process that dies before, the
record is missing, and the call counts as one whose end is not known. While the disk takes
nothing the records stay in memory, up to a bound, and whoever admits calls asks `healthy` first, so
that nothing new is begun that could not be accounted for. What moves the records on is
`app.usage.mover`.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from app.domain.ledger import Record
from app.usage.framing import encode
from app.usage.segments import Folder, Segment
from app.usage.threads import in_thread

SYNC_S: Final = 0.1
"""As much as the death of the machine, not of the process, may take."""
LATE_ROUNDS: Final = 3
"""A late record is written after so many rounds, so two to three tenths of a second. By then what
was handed to the server in front is in the kernel's hands, unless its caller reads nothing."""

_log = logging.getLogger(__name__)


class JournalLimits(Struct, frozen=True):
    """The bounds of a journal."""

    segment_bytes: int = 8 << 20
    """Room for some 25,000 attempts; one more is always reserved ahead."""
    backlog_max: int = 10_000
    """Records kept in memory while the disk takes none; only calls under way add to them."""


class Journal:
    """One worker's journal. `open` it first, run `run`, and `close` it last."""

    def __init__(
        self, root: Path, *, incarnation: str, limits: JournalLimits | None = None
    ) -> None:
        self._limits = limits or JournalLimits()
        self._path = root / incarnation
        self._backlog: deque[bytes] = deque()
        self._late: deque[list[Record]] = deque([[] for _ in range(LATE_ROUNDS)])
        """What is written at the end of each of the next rounds; the last takes what is new."""
        self._spare: Segment | None = None
        self._full: list[Segment] = []
        """Segments that are written to no more and wait for their last sync."""
        self._number = 0
        self._unsynced = False
        self.folder: Folder
        self.current: Segment
        self.appended = 0
        """Records that were ever appended."""
        self.lost = 0
        """Records that found neither room on the disk nor in memory."""

    @property
    def healthy(self) -> bool:
        """Tell whether what is begun now can be written down."""
        return not self._backlog

    @property
    def written(self) -> int:
        """Return how many records have come to stand in a segment."""
        return self.appended - self.lost - len(self._backlog)

    @property
    def late(self) -> int:
        """Return how many records are to be written a little later."""
        return sum(map(len, self._late))

    def open(self) -> None:
        """Make the folder and the first segment.

        Raises:
            StateError: The folder can't be made.
            OSError: There is no room for a first segment.
        """
        self.folder = Folder.make(self._path)
        self.current = self._new_segment()

    def append(self, record: Record) -> None:
        """Write a record down; returns at once and never raises."""
        self.appended += 1
        data = encode(record)
        if self._backlog or not self._written(data):
            self._keep(data)

    def append_late(self, record: Record) -> None:
        """Write a record down in a little while, or at the end; returns at once, never raises.

        Where rounds take too long, as the disk does, there is a bound to what waits for them.
        """
        if len(self._late[-1]) < self._limits.backlog_max:
            self._late[-1].append(record)
        else:
            self.append(record)

    def append_awaited(self) -> None:
        """Write down now what was to be written late; for an end that is an orderly one."""
        for _ in range(LATE_ROUNDS):
            self._write_due()

    async def run(self, *, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Sync what was written, keep a segment ahead, write the backlog; until cancelled."""
        while True:
            await in_thread(self._maintain)
            self._catch_up()
            self._write_due()
            await sleep(SYNC_S)

    def close(self) -> None:
        """Sync and let go; what could not be written yet is tried once more."""
        self._catch_up()
        self.append_awaited()
        for segment in (*self._full, self.current):
            _close(segment)
        if self._spare is not None:
            self._spare.close()
            self._spare.path.unlink(missing_ok=True)
        self.folder.release()

    def _write_due(self) -> None:
        """Write what has waited for long enough."""
        due = self._late.popleft()
        self._late.append([])
        for record in due:
            self.append(record)

    def _written(self, data: bytes) -> bool:
        """Write one frame and tell whether it is there."""
        try:
            if not self.current.append(data) and not (self._turned() and self.current.append(data)):
                return False
        except OSError as error:
            _log.error("journal_not_written error=%s", error.strerror)
            return False
        self._unsynced = True
        return True

    def _turned(self) -> bool:
        """Go on to the next segment, if there is one."""
        if self._spare is None:
            return False
        self._full.append(self.current)
        self.current, self._spare = self._spare, None
        return True

    def _keep(self, data: bytes) -> None:
        if len(self._backlog) >= self._limits.backlog_max:
            self.lost += 1
            return
        if not self._backlog:
            _log.error("journal_full folder=%s", self._path)
        self._backlog.append(data)

    def _catch_up(self) -> None:
        had_some = bool(self._backlog)
        while self._backlog and self._written(self._backlog[0]):
            self._backlog.popleft()
        if had_some and not self._backlog:
            _log.warning("journal_caught_up folder=%s", self._path)

    def _maintain(self) -> None:
        """Do what may wait for the disk; runs in a thread, beside appends."""
        while self._full:
            _close(self._full.pop())
        if self._unsynced:
            self._unsynced = False
            try:
                self.current.sync()
            except OSError as error:
                _log.error("journal_not_synced error=%s", error.strerror)
        if self._spare is None:
            try:
                self._spare = self._new_segment()
            except OSError as error:
                # Asked again at the next turn; the current segment still has room.
                _log.warning("journal_has_no_spare error=%s", error.strerror)

    def _new_segment(self) -> Segment:
        number = self._number + 1
        segment = Segment(self.folder.segment(number), number, size=self._limits.segment_bytes)
        self._number = number
        return segment


def _close(segment: Segment) -> None:
    try:
        segment.close()
    except OSError as error:
        _log.error("journal_not_synced error=%s", error.strerror)
