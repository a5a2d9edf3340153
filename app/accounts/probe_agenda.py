"""Which account is to be asked for its usage, and when. No awaiting, no clock.

An account is due when nothing has been heard of it for an interval, shortly after a rest for its
quota has ended, or when it may be asked again after a failure. Deadlines stand on a heap whose
stale items are passed over: an item counts only while it names its entry's own moment. Where an
account is due, it is first seen whether traffic has told of it meanwhile, so traffic costs nothing.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from random import Random
from typing import Final

from msgspec import Struct

from app.domain.account import AccountId
from app.pool.backoff import delay_s
from app.pool.state import AccountState, Health

INTERVAL_S: Final = 900.0
JITTER: Final = 0.2
"""Share of the interval by which it is shorter or longer each time."""
SHARE_S: Final = 0.25
"""What each account takes of everybody's time: more than a question does, so no line grows."""
FIRST_SPREAD_S: Final = 5.0
BOUNDARY_S: Final = 2.0
"""After the end of a rest, plus up to a second."""
REST_MIN_S: Final = 60.0
"""A rest that lasts so long is one for quota; shorter ones end by themselves."""
RECHECK_S: Final = 60.0
"""Until an account is looked at again whose credential opens nothing now."""
RETRY_FIRST_S: Final = 60.0
RETRY_MAX_S: Final = 3600.0
RETRY_NAMED_MAX_S: Final = 86_400.0
_AGAIN_S: Final = 0.2


class Entry(Struct):
    """What is known of one account; all moments are epoch seconds."""

    state: AccountState
    due_at: float = 0.0
    """When it is looked at next."""
    heard_at: float = 0.0
    """`state.heard_at` when `due_at` was set."""
    asked_at: float = 0.0
    failures: int = 0
    """In a row."""
    not_before: float = 0.0
    """When it may be asked again after a failure."""
    rest_ends_at: float = 0.0
    """When the last known rest for quota ends; 0 if there was none."""

    @property
    def id(self) -> AccountId:
        """The account's."""
        return self.state.account.id


class ProbeAgenda:
    """All accounts that are asked for their usage, in the order in which they are due.

    What `pop_due` gave comes back by `answered`, `failed` or `recall`.
    """

    def __init__(self, *, rng: Random) -> None:
        self.interval_s = INTERVAL_S
        """An account is due if nothing was heard of it for so long; may be set at any time."""
        self._rng = rng
        self._entries: dict[AccountId, Entry] = {}
        self._out: set[AccountId] = set()
        self._heap: list[tuple[float, AccountId]] = []

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def out(self) -> int:
        """How many accounts have been given out and have not come back."""
        return len(self._out)

    def look(self, state: AccountState, *, now: float) -> bool:
        """See how an account is now, and whether it is due earlier; False if it is not known."""
        entry = self._entries.get(state.account.id)
        if entry is None:
            return False
        entry.state = state
        ends_at = _rest_ends_at(state, now)
        latest = max(entry.not_before, now + self._wait_s() * (1 + JITTER))
        if (ends_at and ends_at != entry.rest_ends_at) or entry.due_at > latest:
            entry.rest_ends_at = ends_at
            self._plan(entry, now)
        return True

    def enter(self, states: Iterable[AccountState], *, now: float) -> None:
        """Take in new accounts; those that were never heard of are due soon, one after another."""
        fresh = [Entry(state, rest_ends_at=_rest_ends_at(state, now)) for state in states]
        self._entries.update((entry.id, entry) for entry in fresh)
        spread_s = max(FIRST_SPREAD_S, len(fresh) * SHARE_S)
        for entry in fresh:
            if entry.state.heard_at:
                self._plan(entry, now)
            else:
                self._schedule(entry, now + self._rng.random() * spread_s)

    def keep(self, ids: set[AccountId]) -> None:
        """Forget all accounts but these."""
        for gone in self._entries.keys() - ids:
            del self._entries[gone]

    def next_due_at(self) -> float | None:
        """Return when an account is to be looked at next, None if there is none."""
        while self._heap:
            at, account_id = self._heap[0]
            entry = self._entries.get(account_id)
            if entry is not None and entry.due_at == at and account_id not in self._out:
                return at
            heappop(self._heap)
        return None

    def pop_due(self, *, now: float) -> Entry | None:
        """Give out an account that is to be asked now; the others that are due are planned anew."""
        while (due_at := self.next_due_at()) is not None and due_at <= now:
            entry = self._entries[heappop(self._heap)[1]]
            if not _can_ask(entry.state, now):
                self._schedule(entry, now + RECHECK_S * self._jitter())
            elif _wanted(entry, now):
                self._out.add(entry.id)
                entry.asked_at = now
                return entry
            else:
                self._plan(entry, now)
        return None

    def answered(self, entry: Entry, *, now: float) -> None:
        """Take an account back whose upstream has answered; the pool has been told."""
        entry.failures = 0
        self._back(entry, now)

    def failed(self, entry: Entry, *, retry_after_s: float | None, now: float) -> None:
        """Take an account back without an answer; it is left alone for longer each time."""
        entry.failures += 1
        wait_s = delay_s(entry.failures, first_s=RETRY_FIRST_S, max_s=RETRY_MAX_S, rng=self._rng)
        named_s = min(retry_after_s or 0.0, RETRY_NAMED_MAX_S)
        entry.not_before = now + max(wait_s, named_s)
        self._back(entry, now)

    def recall(self, *, now: float) -> None:
        """Take back all that were given out: nobody asks for them any more."""
        for account_id in list(self._out):
            self._out.discard(account_id)
            entry = self._entries.get(account_id)
            if entry is not None:
                self._plan(entry, now)

    def _back(self, entry: Entry, now: float) -> None:
        self._out.discard(entry.id)
        if self._entries.get(entry.id) is entry:
            self._plan(entry, now)

    def _plan(self, entry: Entry, now: float) -> None:
        """Set when an account is looked at next; one that is given out is planned afterwards."""
        if entry.id in self._out:
            return
        state = entry.state
        at = max(state.heard_at, entry.asked_at) + self._wait_s() * self._jitter()
        if entry.failures:
            at = max(entry.not_before, entry.asked_at + self._round_s())
        elif entry.rest_ends_at > now:
            at = min(at, entry.rest_ends_at + BOUNDARY_S + self._rng.random())
        entry.heard_at = state.heard_at
        self._schedule(entry, max(at, now + _AGAIN_S))

    def _round_s(self) -> float:
        """Return how long it takes to ask for every account once."""
        return len(self._entries) * SHARE_S

    def _wait_s(self) -> float:
        return max(self.interval_s, self._round_s())

    def _jitter(self) -> float:
        return 1.0 - JITTER + 2.0 * JITTER * self._rng.random()

    def _schedule(self, entry: Entry, at: float) -> None:
        entry.due_at = at
        heappush(self._heap, (at, entry.id))
        if len(self._heap) > 2 * len(self._entries) + 64:
            self._heap = [(other.due_at, other.id) for other in self._entries.values()]
            heapify(self._heap)


def _can_ask(state: AccountState, now: float) -> bool:
    """Tell whether the account's credential opens anything, as far as is known."""
    expires_at = state.account.credential.expires_at
    if expires_at is not None and expires_at <= now:
        return False
    return state.health not in (Health.EXPIRED, Health.BANNED)


def _wanted(entry: Entry, now: float) -> bool:
    """Tell whether nothing has been heard of a due account since it was planned.

    What was heard during a rest does not tell how things stand after it.
    """
    heard_at = entry.state.heard_at
    return heard_at == entry.heard_at or heard_at < entry.rest_ends_at <= now


def _rest_ends_at(state: AccountState, now: float) -> float:
    """Return when the account's rest for quota ends, 0 if it has none."""
    if state.paused_until > now or state.ready_at >= now + REST_MIN_S:
        return state.rests_until
    return 0.0
