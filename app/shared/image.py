"""One process's figures as they lie in Redis: a log of pages that keeps itself short. Pure.

Each write adds a page with the rows that changed, so a reader that has read up to page n reads the
pages after n and has everything. A row counts where it stands last. Once there are too many pages,
each write also carries along the rows that still count in the oldest page, and that page goes: what
is kept never exceeds a few times the rows.

    change ─▶ write ─▶ accepted          as usual
                    └▶ (no answer)       the same rows go into the next write once more
                    └▶ lost ─▶ write     everything is written anew

Whether a write without an answer happened does not matter: pages have numbers that are never used
again, and the next write says which last page it expects to find: any from the last one that was
acknowledged to the last one that was sent.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from app.domain.shared import AccountTally, KeySpent
from app.shared.codec import Page, encoded

PAGES_MAX: Final = 64
"""Pages that are kept, besides twice as many as the rows would fill."""
ROWS_MAX: Final = 500
"""Rows in one page; readers take a page in one go, in less than a millisecond."""

Row = AccountTally | KeySpent
_Key = tuple[type[Row], str]


class Write(Struct, frozen=True):
    """What is to be done to the pages in Redis, all at once."""

    low: int
    high: int
    """The last page must have a number from `low` to `high`, or everything is to be written."""
    head: int
    """The number of the last page afterwards."""
    pages: list[tuple[int, bytes]]
    drops: list[int]
    """Pages that are not needed any more."""
    anew: bool
    """Whatever is there goes first, and `low` and `high` mean nothing."""


class Image:
    """The rows of one process and the pages that hold them."""

    def __init__(self) -> None:
        self._rows: dict[_Key, Row] = {}
        self._page_of: dict[_Key, int] = {}
        self._pages: dict[int, set[_Key]] = {}
        """Rows that count in each page, the oldest page first."""
        self._unsaid: dict[_Key, None] = {}
        """Rows that nobody has acknowledged yet."""
        self._sent: dict[_Key, Row] = {}
        """Rows as they stand in the last write."""
        self._drops: set[int] = set()
        self._acknowledged = 0
        self._head = 0
        self._anew = False

    def change(self, rows: Iterable[Row]) -> None:
        """Take over rows; those that are as they were cost nothing more."""
        for row in rows:
            key: _Key = (type(row), row.id)
            if self._rows.get(key) != row:
                self._rows[key] = row
                self._unsaid[key] = None

    def write(self) -> Write:
        """Return what has to be written now."""
        low, high = self._acknowledged, self._head
        if self._anew:
            self._pages.clear()
            self._page_of.clear()
            self._drops.clear()
            keys = list(self._rows)
        else:
            keys = list(self._unsaid)
        if keys:
            keys += self._outdated(excluding=set(keys))
        self._sent = {key: self._rows[key] for key in keys}
        pages = []
        # With no row at all there is still a page, so that it can be seen to be there.
        for start in range(0, len(keys) or int(self._anew), ROWS_MAX):
            self._head += 1
            pages.append((self._head, self._page(keys[start : start + ROWS_MAX])))
        return Write(low, high, self._head, pages, sorted(self._drops), self._anew)

    def accepted(self, write: Write) -> None:
        """Note that a write has happened, the last one that `write` returned.

        Rows may have changed since; those are still to be said.
        """
        self._acknowledged = write.head
        self._drops.difference_update(write.drops)
        self._anew = False
        for key, row in self._sent.items():
            if self._rows[key] is row:
                self._unsaid.pop(key, None)

    def lost(self) -> None:
        """Note that what should be there is not: the next write writes everything."""
        self._anew = True

    def _outdated(self, *, excluding: set[_Key]) -> list[_Key]:
        """Return the rows that still count in the oldest pages, which are too many."""
        found = []
        # Full pages are not too many, however many they are.
        most = PAGES_MAX + 2 * len(self._rows) // ROWS_MAX
        for number in list(self._pages)[: max(0, len(self._pages) - most + 1)]:
            found += [key for key in self._pages[number] if key not in excluding]
        return found

    def _page(self, keys: list[_Key]) -> bytes:
        rows = [self._rows[key] for key in keys]
        for key in keys:
            number = self._page_of.get(key)
            if number is not None:
                left = self._pages[number]
                left.discard(key)
                if not left:
                    del self._pages[number]
                    self._drops.add(number)
            self._page_of[key] = self._head
        self._pages[self._head] = set(keys)
        return encoded(
            Page(
                accounts=[row for row in rows if isinstance(row, AccountTally)],
                keys=[row for row in rows if isinstance(row, KeySpent)],
            )
        )
