"""Which session belongs to which account, and until when. Pure and bounded.

A session that stays on its account keeps the upstream's prompt cache warm, and encrypted items
can only be read by the account that made them. Keys are already scoped to the caller's key, so
no two callers share an entry. The oldest entry goes when the table is full.
"""

from app.domain.account import AccountId


class AffinityTable:
    """Session key to account, least recently used first."""

    def __init__(self, *, entries_max: int, ttl_s: float) -> None:
        self._entries: dict[str, tuple[AccountId, float]] = {}
        self._entries_max = entries_max
        self._ttl_s = ttl_s

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: str, *, now: float) -> AccountId | None:
        """Return the account that `key` is bound to, if the binding is fresh."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= now:
            del self._entries[key]
            return None
        return entry[0]

    def bind(self, key: str, account_id: AccountId, *, now: float) -> None:
        """Bind `key` to the account from now on, or keep it bound for longer."""
        self._entries.pop(key, None)
        self._entries[key] = (account_id, now + self._ttl_s)
        if len(self._entries) > self._entries_max:
            del self._entries[next(iter(self._entries))]
