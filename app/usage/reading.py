"""How far one folder of the journal has been read, and which rows come next.

Reading runs ahead of the database by one batch at most: what was read stays `pending` until it is
`done`, so that a batch which the database did not take is offered again as it was.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from app.usage.framing import HEAD, Chunk, decode, flaw
from app.usage.journal import Journal
from app.usage.pairing import Pairing, Row
from app.usage.segments import Folder

RECORDS_MAX: Final = 500
WINDOW_BYTES: Final = 262_144
"""Read at a time: more than so many records take. What follows in a segment are mostly zeros."""
_END: Final = 0
"""The number under which the rows of unanswered calls are taken; segments begin at 1."""

_log = logging.getLogger(__name__)


class Batch(Struct, frozen=True):
    """Rows, and the place in a segment up to which they were read."""

    rows: Sequence[Row]
    number: int
    offset: int


class Reading:
    """One folder; `journal` is the one that still writes to it, None if its worker is gone."""

    def __init__(self, folder: Folder, *, journal: Journal | None) -> None:
        self.folder = folder
        self.flaws = 0
        """Frames that held no record, and segments whose rest can't be read."""
        self._torn: set[int] = set()
        self._through: set[int] = set()
        """Segments that were full when they were read to their end."""
        self._journal = journal
        self._pairing = Pairing()
        self._offsets: dict[int, int] = {}
        self._pending: Batch | None = None
        self._ended = False

    def name(self, number: int) -> str:
        """Return what the database knows a segment by."""
        return f"{self.folder.name}/{number}"

    def recall(self, positions: dict[str, int]) -> None:
        """Read again what another process had moved, for the calls that were under way then."""
        for number in self.folder.numbers():
            until = positions.get(self.name(number), len(HEAD))
            with self.folder.segment(number).open("rb") as file:
                data = file.read(until)
            for record in decode(data, offset=len(HEAD), records_max=until).records:
                self._pairing.feed(record, segment=number)
            self._offsets[number] = until

    def batch(self) -> Batch | None:
        """Return the next rows, the same ones until they are `done`; None if there are none now."""
        if self._pending is None:
            self._pending = self._next()
        return self._pending

    def done(self) -> None:
        """Note that the database has taken the batch."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        if pending.number == _END:
            self._ended = True
        else:
            self._offsets[pending.number] = pending.offset

    @property
    def ended(self) -> bool:
        """Tell whether the worker is gone and all that it left has been taken."""
        return self._ended

    def spent(self) -> list[int]:
        """Return the segments that nobody needs any more."""
        if self._journal is None:
            return self.folder.numbers() if self._ended else []
        oldest = self._pairing.oldest
        return [
            number
            for number in self.folder.numbers()
            if number in self._through and (oldest is None or number < oldest)
        ]

    def drop(self, numbers: Sequence[int]) -> None:
        """Delete segments that are spent."""
        for number in numbers:
            self.folder.segment(number).unlink(missing_ok=True)
            self._offsets.pop(number, None)
            self._torn.discard(number)
            self._through.discard(number)

    def _next(self) -> Batch | None:
        # Taken once: its writer goes on meanwhile, in another thread, and may go to the next one.
        current = self._journal.current if self._journal is not None else None
        for number in self.folder.numbers():
            if current is not None and number > current.number:
                return None
            if number in self._torn:
                found = None
            elif current is not None and number == current.number:
                # A frame that is being written looks like a torn one: it ends where all is whole.
                found = self._read(number, until=current.end)
            else:
                found = self._read(number)
            if found is not None:
                return found
            if current is None or number < current.number:
                self._through.add(number)
        if self._journal is not None or self._ended:
            return None
        return Batch(list(self._pairing.leftovers()), _END, 1)

    def _read(self, number: int, *, until: int | None = None) -> Batch | None:
        """Return the next rows of a segment, up to a place in it."""
        offset = self._offsets.setdefault(number, len(HEAD))
        with self.folder.segment(number).open("rb") as file:
            wrong = flaw(file.read(len(HEAD)))
            if wrong == "empty":
                return None
            end = file.seek(0, os.SEEK_END) if until is None else until
            left = max(0, end - offset)
            file.seek(offset)
            if wrong:
                data, chunk = file.read(left), Chunk([], [], 0, wrong)
            else:
                data = file.read(min(WINDOW_BYTES, left))
                chunk = decode(data, offset=0, records_max=RECORDS_MAX)
            if chunk.torn and len(data) < left:
                # Perhaps only by the window's end.
                data += file.read(left - len(data))
                chunk = decode(data, offset=0, records_max=RECORDS_MAX)
        for poison in chunk.poison:
            self.flaws += 1
            set_aside(self.folder.aside(number), poison.raw, poison.reason)
        if chunk.torn:
            self._tear(number, data[chunk.offset :], chunk.torn)
        if not chunk.records and not chunk.poison:
            return None
        rows: list[Row] = []
        for record in chunk.records:
            rows += self._pairing.feed(record, segment=number)
        return Batch(rows, number, offset + chunk.offset)

    def _tear(self, number: int, rest: bytes, reason: str) -> None:
        """Give up the rest of a segment: keep a copy of it, and say so."""
        self.flaws += 1
        self._torn.add(number)
        set_aside(self.folder.aside(number), rest.rstrip(b"\x00"), reason)
        _log.error("journal_torn segment=%s reason=%s", self.name(number), reason)


def set_aside(path: Path, raw: bytes, reason: str) -> None:
    """Keep what can't be moved, with the reason, for somebody to look at; best effort."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(f"\n# {reason}, {len(raw)} bytes\n".encode() + raw)
    except OSError as error:
        _log.error("journal_not_set_aside file=%s error=%s", path.name, error.strerror)
