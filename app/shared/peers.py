"""What the other processes have said, kept so that asking for a sum costs one look. Pure.

A peer's pages replace its earlier figures row by row, and the sums move by the difference. A peer
that has not been seen for a while is not alive: its calls under way are over and count no more,
while its requests and tokens stay until it is *retired*, that is, until they have become part of
the figures of all those that are gone. These come as the pages of a peer named `RETIRED`, together
with the names of whose figures they have taken in, so that nothing counts twice or never.

A peer that is gone without being retired has been forgotten by the server: `forgotten` lists those
that did not come back by themselves, so that they can be told to it again.
"""

from collections.abc import Collection
from typing import Final

from msgspec import Struct, field

from app.domain.account import AccountId
from app.domain.caller import KeyId
from app.domain.shared import AccountTally, KeySpent, Missed, News, Presence
from app.shared.codec import Announcement, Page

RETIRED: Final = "retired"
NOBODY: Final = AccountTally(AccountId(""))


class _Sum(Struct):
    in_flight: int = 0
    wanted: int = 0
    requests: int = 0
    tokens: int = 0


class _Peer(Struct):
    read: int = 0
    """The last of its pages that was read."""
    live: bool = False
    presence: Presence = Presence()
    absent_since: float | None = None
    """Since when the server does not know it, on the caller's clock."""
    announced: int = 0
    """The number of its last event that was heard; 0 before the first."""
    accounts: dict[AccountId, AccountTally] = field(default_factory=dict)
    keys: dict[KeyId, KeySpent] = field(default_factory=dict)


class Peers:
    """All other processes, as they were heard of last; satisfies `app.ports.SharedView`."""

    def __init__(self, me: str) -> None:
        self.heard_at: float | None = None
        self._me = me
        self._peers: dict[str, _Peer] = {}
        self._sums: dict[AccountId, _Sum] = {}
        self._keys: dict[KeyId, KeySpent] = {}
        self._taken: dict[KeyId, tuple[int, int]] = {}
        """Calls and tokens that others took for a key since the first round."""
        self._fresh: dict[KeyId, None] = {}
        """Keys whose sums have changed since `spending` was asked for."""
        self._folded: frozenset[str] = frozenset()
        self._live: list[str] = [me]
        self._short: set[AccountId] = set()

    @property
    def processes(self) -> int:
        """How many processes are alive, this one included."""
        return len(self._live)

    @property
    def rank(self) -> int:
        """The place of this process among those that are alive, from 0."""
        return self._live.index(self._me)

    @property
    def short(self) -> Collection[AccountId]:
        """Accounts of which others want more than they have."""
        return self._short

    @property
    def presences(self) -> list[tuple[str, Presence]]:
        """The others that are alive."""
        live = (name for name in self._live if name != self._me)
        return [(name, self._peers[name].presence) for name in live]

    @property
    def known(self) -> dict[str, int]:
        """How far the pages of each peer have been read."""
        return {name: peer.read for name, peer in self._peers.items() if peer.read}

    def account(self, account_id: AccountId) -> AccountTally:
        """Return what the others did with an account; calls under way of those alive only."""
        total = self._sums.get(account_id)
        if total is None:
            return AccountTally(account_id)
        return AccountTally(account_id, total.in_flight, total.wanted, total.requests, total.tokens)

    def spent(self, key_id: KeyId) -> KeySpent:
        """Return what the others spent for a key in the latest day and month of which they say.

        Its calls and tokens are those since the first round, whoever of them is gone since.
        """
        return self._keys.get(key_id) or KeySpent(key_id)

    def spending(self) -> list[KeySpent]:
        """Return the keys for which others have spent since this was asked the last time."""
        fresh, self._fresh = self._fresh, {}
        return [self._keys[key_id] for key_id in fresh if key_id in self._keys]

    def needs(self, account_id: AccountId, own: int) -> list[int]:
        """Return how many calls each live process has or wants, by rank; `own` at this one's."""
        total = self._sums.get(account_id)
        if total is None or not total.in_flight + total.wanted:
            found = [0] * len(self._live)
            found[self.rank] = own
            return found
        return [own if name == self._me else self._need(name, account_id) for name in self._live]

    def _need(self, name: str, account_id: AccountId) -> int:
        row = self._peers[name].accounts.get(account_id, NOBODY)
        return row.in_flight + row.wanted

    def read(self, name: str, page: Page, *, number: int) -> None:
        """Take over the page of a peer up to which it has now been read."""
        peer = self._peer(name)
        peer.read = number
        rows, sums, live = peer.accounts, self._sums, peer.live
        # Sixteen processes say thousands of rows a second, so this counts the difference at once.
        for row in page.accounts:
            account_id = row.id
            old = rows.get(account_id, NOBODY)
            rows[account_id] = row
            total = sums.get(account_id)
            if total is None:
                total = sums[account_id] = _Sum()
            total.requests += row.requests - old.requests
            total.tokens += row.tokens - old.tokens
            if live:
                total.in_flight += row.in_flight - old.in_flight
                if row.wanted or old.wanted:
                    self._want(account_id, total, row.wanted - old.wanted)
        for spent in page.keys:
            before = peer.keys.get(spent.id)
            peer.keys[spent.id] = spent
            # What was taken before our time does not matter any more to a limit by the minute.
            if self.heard_at is not None and name != RETIRED:
                self._take(spent, before or KeySpent(spent.id))
            self._sum_key(spent.id)
        if name == RETIRED:
            self._folded = frozenset(page.folded)

    def restart(self, name: str) -> None:
        """Read the pages of a peer from the first one on again: they do not go on."""
        self._peer(name).read = 0

    def seen(self, name: str, presence: Presence, *, live: bool) -> None:
        """Note that the server knows a peer, and whether it is alive."""
        peer = self._peer(name)
        peer.presence = presence
        peer.absent_since = None
        self._set_live(name, peer, live=live)

    def settle(self, known: Collection[str], *, now: float) -> None:
        """Note that the server knows these peers and no others; the round is complete."""
        for name in [name for name in self._peers if name not in known and name != RETIRED]:
            peer = self._peers[name]
            if name in self._folded or not (peer.accounts or peer.keys):
                self._drop(name, peer)
            elif peer.absent_since is None:
                peer.absent_since = now
        self._live = sorted([self._me, *(name for name, peer in self._peers.items() if peer.live)])
        self.heard_at = now

    def forgotten(self, *, since: float) -> list[str]:
        """Return who the server has not known since `since` or longer; they live no more."""
        found = [
            (name, peer)
            for name, peer in self._peers.items()
            if peer.absent_since is not None and peer.absent_since <= since
        ]
        for name, peer in found:
            self._set_live(name, peer, live=False)
        return [name for name, _ in found]

    def image(self, name: str) -> tuple[int, Page]:
        """Return all figures of a peer as one page, with how far it had been read."""
        peer = self._peer(name)
        folded = sorted(self._folded) if name == RETIRED else []
        return peer.read, Page([*peer.accounts.values()], [*peer.keys.values()], folded)

    def news(self, said: Announcement) -> list[News]:
        """Return what an announcement says; nothing if it was heard before, or is our own."""
        if said.incarnation == self._me:
            return []
        peer = self._peer(said.incarnation)
        last, peer.announced = peer.announced, max(peer.announced, said.number)
        if said.number <= last:
            return []
        if last and said.number > last + 1:
            return [Missed(), said.event]
        return [said.event]

    def _peer(self, name: str) -> _Peer:
        peer = self._peers.get(name)
        if peer is None:
            peer = self._peers[name] = _Peer()
        return peer

    def _drop(self, name: str, peer: _Peer) -> None:
        del self._peers[name]
        self._set_live(name, peer, live=False)
        for row in peer.accounts.values():
            total = self._sums[row.id]
            total.requests -= row.requests
            total.tokens -= row.tokens
        for key_id in peer.keys:
            self._sum_key(key_id)

    def _set_live(self, name: str, peer: _Peer, *, live: bool) -> None:
        if live == peer.live or name == RETIRED:
            return
        peer.live = live
        sign = 1 if live else -1
        for row in peer.accounts.values():
            if row.in_flight or row.wanted:
                total = self._sums[row.id]
                total.in_flight += sign * row.in_flight
                self._want(row.id, total, sign * row.wanted)
        for spent in peer.keys.values():
            if spent.in_flight or spent.reserved_nusd:
                self._sum_key(spent.id)

    def _want(self, account_id: AccountId, total: _Sum, more: int) -> None:
        total.wanted += more
        if total.wanted:
            self._short.add(account_id)
        else:
            self._short.discard(account_id)

    def _take(self, spent: KeySpent, before: KeySpent) -> None:
        requests, tokens = self._taken.get(spent.id, (0, 0))
        requests += spent.requests - before.requests
        self._taken[spent.id] = requests, tokens + spent.tokens - before.tokens

    def _sum_key(self, key_id: KeyId) -> None:
        peers = [peer for peer in self._peers.values() if key_id in peer.keys]
        rows = [peer.keys[key_id] for peer in peers]
        live = [peer.keys[key_id] for peer in peers if peer.live]
        day_at = max((row.day_at for row in rows), default=0)
        month_at = max((row.month_at for row in rows), default=0)
        self._keys[key_id] = KeySpent(
            key_id,
            day_at,
            sum(row.day_nusd for row in rows if row.day_at == day_at),
            month_at,
            sum(row.month_nusd for row in rows if row.month_at == month_at),
            sum(row.reserved_nusd for row in live),
            sum(row.in_flight for row in live),
            *self._taken.get(key_id, (0, 0)),
        )
        self._fresh[key_id] = None
