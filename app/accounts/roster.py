"""Which credentials there are to renew, and which is next. No awaiting, no clock.

An `Entry` is all that the renewer knows of one account. Deadlines stand on heaps whose stale
items are passed over: an item counts only while it names its entry's own deadline. Exchanges go
one at a time, so after an import of thousands many are due at once; then `Urgency` decides, and
not who has been due the longest.
"""

from enum import IntEnum
from heapq import heapify, heappop, heappush

from app.domain.account import Account, AccountId


class Urgency(IntEnum):
    """Why an entry that is due goes before another; the smaller one first."""

    REFUSED = 0
    """Its access token is worth nothing before its time, and calls were on it."""
    SERVING = 1
    """It still serves, so being late would cost calls; of two the one that ends sooner."""
    EXPIRED = 2
    """It served once."""
    NEW = 3
    """It has never had an access token: an import, which can wait."""


class Entry:
    """What is known of one account's credential; `Roster` and the renewer own it."""

    __slots__ = ("account", "due_at", "failures", "not_before", "refused", "unknowns")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.due_at: float | None = None
        """When it is renewed by itself (epoch seconds); None while it never is."""
        self.not_before = 0.0
        """Until when not even a refused access token is a reason to renew."""
        self.failures = 0
        self.unknowns = 0
        self.refused = False
        """The upstream refused this generation's access token: there is nothing to save of it."""

    @property
    def generation(self) -> int:
        """The newest generation that is known."""
        return self.account.credential.generation

    @property
    def renewable(self) -> bool:
        """Whether there is a refresh token that may still be good."""
        return self.account.credential.renewable

    def urgency(self, *, now: float) -> tuple[Urgency, float]:
        """Return how urgent a renewal is that is due; the number orders those of one kind."""
        credential, due_at = self.account.credential, self.due_at or 0.0
        if self.refused:
            return Urgency.REFUSED, due_at
        if not credential.access_token:
            return Urgency.NEW, due_at
        if credential.expires_at is None:
            return Urgency.SERVING, due_at
        if credential.expires_at > now:
            return Urgency.SERVING, credential.expires_at
        return Urgency.EXPIRED, due_at

    def adopt(self, account: Account) -> None:
        """Start anew with a credential of another generation: past failures mean nothing."""
        self.account = account
        self.not_before = 0.0
        self.failures = self.unknowns = 0
        self.refused = False


class Roster:
    """All entries by account, and their deadlines in order.

    What is due moves from the first heap to the second, where what has most to lose comes first.
    """

    def __init__(self) -> None:
        self._entries: dict[AccountId, Entry] = {}
        self._heap: list[tuple[float, AccountId]] = []
        self._due: list[tuple[Urgency, float, float, AccountId]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def ids(self) -> list[AccountId]:
        """Return the accounts as they are now; the list is the caller's."""
        return list(self._entries)

    def get(self, account_id: AccountId) -> Entry | None:
        """Return what is known of an account."""
        return self._entries.get(account_id)

    def add(self, account: Account) -> Entry:
        """Return a new entry for an account that is not known yet."""
        entry = self._entries[account.id] = Entry(account)
        return entry

    def remove(self, account_id: AccountId) -> None:
        """Forget an account; its deadline passes over."""
        self._entries.pop(account_id, None)

    def schedule(self, entry: Entry, due_at: float | None) -> None:
        """Set or clear the deadline of an entry."""
        entry.due_at = due_at
        if due_at is None:
            return
        heappush(self._heap, (due_at, entry.account.id))
        if len(self._heap) + len(self._due) > 2 * len(self._entries) + 64:
            self._due = []
            self._heap = [
                (other.due_at, other.account.id)
                for other in self._entries.values()
                if other.due_at is not None
            ]
            heapify(self._heap)

    def next_due_at(self) -> float | None:
        """Return the earliest deadline, None if there is none; one that has passed, if any has."""
        first = self._first_due()
        return self._first_planned() if first is None else first.due_at

    def pop_due(self, *, now: float) -> Entry | None:
        """Return the most urgent entry whose deadline has passed, without its deadline."""
        while (due_at := self._first_planned()) is not None and due_at <= now:
            entry = self._entries[heappop(self._heap)[1]]
            urgency, end = entry.urgency(now=now)
            heappush(self._due, (urgency, end, due_at, entry.account.id))
        first = self._first_due()
        if first is not None:
            heappop(self._due)
            first.due_at = None
        return first

    def _first_planned(self) -> float | None:
        while self._heap:
            due_at, account_id = self._heap[0]
            entry = self._entries.get(account_id)
            if entry is not None and entry.due_at == due_at:
                return due_at
            heappop(self._heap)
        return None

    def _first_due(self) -> Entry | None:
        while self._due:
            _, _, due_at, account_id = self._due[0]
            entry = self._entries.get(account_id)
            if entry is not None and entry.due_at == due_at:
                return entry
            heappop(self._due)
        return None
