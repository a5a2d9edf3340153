"""Two ways to keep accounts that could take a call, so that the next one is found at once. Pure.

An order holds each account once. It is told when one joins, leaves, or is to be looked at anew
because what it is ranked by may have changed; it proposes one without looking at the others. How
proposals are weighed is `app.pool.selection`, who belongs in an order is `app.pool.shelf`.
"""

from collections.abc import Callable, Container, Iterator
from heapq import heapify, heappop, heappush, heapreplace
from random import Random
from typing import Final, Protocol

from app.domain.account import AccountId
from app.pool.state import AccountState

DRAWS_MAX: Final = 8
SLACK: Final = 64
"""Entries left behind on a heap that are not worth a sweep."""

Rank = tuple[int, ...]
Ranked = Callable[[AccountState, float], Rank]
"""What an account is ranked by at a moment; the lowest is taken first."""


class Order(Protocol):
    """Accounts that could take a call, each once."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[AccountState]:
        """Yield all accounts, in no order that means anything."""

    def add(self, state: AccountState, now: float, /) -> None:
        """Take in an account that is not there."""

    def discard(self, state: AccountState, /) -> None:
        """Let an account go that is there."""

    def moved(self, state: AccountState, now: float, /) -> None:
        """Note that what an account that is there is ranked by may be less than before."""

    def candidate(
        self, place: int, hidden: Container[AccountId], now: float, /
    ) -> AccountState | None:
        """Return the best account that is not in `hidden`, None if all are.

        `place`, below the length, tells where to look in an order without a best one. Costs a
        step for each of `hidden`.
        """


class Lot(Order):
    """A list to draw from; who leaves gives its place to the last."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._states: list[AccountState] = []
        self._places: dict[AccountId, int] = {}

    def __len__(self) -> int:
        return len(self._states)

    def __iter__(self) -> Iterator[AccountState]:
        return iter(self._states)

    def add(self, state: AccountState, _now: float, /) -> None:
        """Take in an account."""
        self._places[state.account.id] = len(self._states)
        self._states.append(state)

    def discard(self, state: AccountState, /) -> None:
        """Let an account go."""
        place = self._places.pop(state.account.id)
        last = self._states.pop()
        if last is not state:
            self._states[place] = last
            self._places[last.account.id] = place

    def moved(self, state: AccountState, now: float, /) -> None:
        """Do nothing: there is no rank."""

    def candidate(
        self, place: int, hidden: Container[AccountId], _now: float, /
    ) -> AccountState | None:
        """Return the account at `place`; one drawn at random if that one is hidden."""
        states = self._states
        state = states[place]
        if state.account.id not in hidden:
            return state
        size = len(states)
        for _ in range(DRAWS_MAX):
            place = int(self._rng.random() * size)
            if states[place].account.id not in hidden:
                return states[place]
        # As few as are hidden, this walk is short, unless they are all there is.
        for step in range(size):
            state = states[(place + step) % size]
            if state.account.id not in hidden:
                return state
        return None


class Ranking(Order):
    """A heap; the account of the lowest rank is the best.

    A rank that has grown is noticed when the account comes to the top, one that has fallen must be
    told. Entries left behind are passed over, and swept out before they outnumber the accounts.
    """

    def __init__(self, rank: Ranked) -> None:
        self._rank = rank
        self._number = 0
        self._heap: list[_Entry] = []
        self._filed: dict[AccountId, _Entry] = {}
        """The one entry of each account that counts; its rank is never above the true one."""

    def __len__(self) -> int:
        return len(self._filed)

    def __iter__(self) -> Iterator[AccountState]:
        return (entry[2] for entry in self._filed.values())

    def add(self, state: AccountState, now: float, /) -> None:
        """Take in an account."""
        heappush(self._heap, self._entry(state, self._rank(state, now)))
        self._sweep()

    def discard(self, state: AccountState, /) -> None:
        """Let an account go."""
        del self._filed[state.account.id]
        self._sweep()

    def moved(self, state: AccountState, now: float, /) -> None:
        """File an account anew if its rank has fallen."""
        filed = self._filed[state.account.id]
        if self._rank(state, now) < filed[0]:
            self.add(state, now)

    def candidate(
        self, _place: int, hidden: Container[AccountId], now: float, /
    ) -> AccountState | None:
        """Return the account of the lowest rank."""
        heap = self._heap
        aside = []
        found = None
        while heap:
            entry = heap[0]
            state = entry[2]
            account_id = state.account.id
            if self._filed.get(account_id) is not entry:
                heappop(heap)
                continue
            rank = self._rank(state, now)
            if rank > entry[0]:
                heapreplace(heap, self._entry(state, rank))
                continue
            if account_id not in hidden:
                found = state
                break
            aside.append(heappop(heap))
        for entry in aside:
            heappush(heap, entry)
        return found

    def _entry(self, state: AccountState, rank: Rank) -> "_Entry":
        """Return the entry that counts from now on; the number keeps states from being compared."""
        self._number += 1
        entry = (rank, self._number, state)
        self._filed[state.account.id] = entry
        return entry

    def _sweep(self) -> None:
        if len(self._heap) > 2 * len(self._filed) + SLACK:
            self._heap = list(self._filed.values())
            heapify(self._heap)


_Entry = tuple[Rank, int, AccountState]
