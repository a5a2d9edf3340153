"""Which credentials there are to renew, and which is next. No awaiting, no clock.

An `Entry` is all that the renewer knows of one account. Deadlines stand on a heap whose stale
items are passed over: an item counts only while it names its entry's own deadline.
"""

from heapq import heapify, heappop, heappush

from app.domain.account import Account, AccountId


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

    def adopt(self, account: Account) -> None:
        """Start anew with a credential of another generation: past failures mean nothing."""
        self.account = account
        self.not_before = 0.0
        self.failures = self.unknowns = 0
        self.refused = False


class Roster:
    """All entries by account, and their deadlines in order."""

    def __init__(self) -> None:
        self._entries: dict[AccountId, Entry] = {}
        self._heap: list[tuple[float, AccountId]] = []

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
        if len(self._heap) > 2 * len(self._entries) + 64:
            self._heap = [
                (other.due_at, other.account.id)
                for other in self._entries.values()
                if other.due_at is not None
            ]
            heapify(self._heap)

    def next_due_at(self) -> float | None:
        """Return the earliest deadline, None if there is none."""
        while self._heap:
            due_at, account_id = self._heap[0]
            entry = self._entries.get(account_id)
            if entry is not None and entry.due_at == due_at:
                return due_at
            heappop(self._heap)
        return None

    def pop_due(self, *, now: float) -> Entry | None:
        """Return the entry whose deadline has passed longest ago, without its deadline."""
        due_at = self.next_due_at()
        if due_at is None or due_at > now:
            return None
        entry = self._entries[heappop(self._heap)[1]]
        entry.due_at = None
        return entry
