"""Which session belongs to which account, and until when. Pure and bounded.

A session that stays on its account keeps the upstream's prompt cache warm, and encrypted items
can only be read by the account that made them. Keys are already scoped to the caller's key, so
no two callers share an entry. The oldest entry goes when the table is full. Whether the account can
take a call is `app.pool.pool`'s matter.
"""

from collections import OrderedDict

from app.domain.account import AccountId


class AffinityTable:
    """Session key to account, bound longest ago first."""

    def __init__(self, *, entries_max: int, ttl_s: float) -> None:
        # A plain dict would be searched for its oldest key past all that were taken out before it.
        self._entries: OrderedDict[str, tuple[AccountId, float]] = OrderedDict()
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

    def bind(self, key: str, account_id: AccountId, *, now: float) -> bool:
        """Bind `key` to the account from now on, or keep it bound for longer.

        True if it was not bound to this account before.
        """
        entries = self._entries
        before = entries.get(key)
        entries[key] = (account_id, now + self._ttl_s)
        entries.move_to_end(key)
        if len(entries) > self._entries_max:
            entries.popitem(last=False)
        return before is None or before[0] != account_id

    def hear(self, key: str, account_id: AccountId, *, at: float) -> None:
        """Take over a binding that was made elsewhere, unless a later one is known."""
        before = self._entries.get(key)
        if before is None or before[1] - self._ttl_s < at:
            self.bind(key, account_id, now=at)
