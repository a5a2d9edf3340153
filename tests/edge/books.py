"""The books of a data plane that a test opens: limits, accounts, and a journal that is a list."""

from typing import Any

from app.allowance.book import AllowanceBook
from app.edge.till import Till
from app.usage.accountant import Accountant
from tests.fakes.clock import FakeClock


class Journal:
    """As much of a journal as an accountant wants."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.healthy = True

    @property
    def appended(self) -> int:
        """How many records there are."""
        return len(self.records)

    def append(self, record: Any) -> None:
        """Keep it."""
        self.records.append(record)

    def append_late(self, record: Any) -> None:
        """Keep it too: in here nothing is late."""
        self.records.append(record)


class Books:
    """Everything that a request leaves behind."""

    def __init__(self, clock: FakeClock) -> None:
        self.journal = Journal()
        self.accountant = Accountant(self.journal, incarnation="c0de", clock=clock)
        self.allowance = AllowanceBook()
        self.till = Till(book=self.allowance, accountant=self.accountant, clock=clock)

    @property
    def records(self) -> list[Any]:
        """What was written down."""
        return self.journal.records
