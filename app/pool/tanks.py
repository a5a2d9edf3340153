"""How long a set of accounts lasts under a steady load: event by event, exactly. Pure.

An account is a tank with a level for each of its quota windows. The load is shared equally among
the accounts that are open; one closes when any of its windows is empty and opens again when none
is, and a reset fills a window however much was left of it. As all open accounts spend the same, one
running sum says when each will be empty, and nothing is stepped through: a reset or a closing costs
one heap operation. Chance is not here; who asks varies the load.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from math import inf
from typing import Final

from msgspec import Struct

EVENTS_MAX: Final = 20_000
"""Resets and closings after which what follows is taken to be no worse than what was seen."""


class Level(Struct, frozen=True):
    """One quota window of an account, in units of work (tokens)."""

    name: str
    left: float
    """What is left until the reset; 0 or less if it is used up."""
    size: float
    """What there is after the reset."""
    reset_s: float
    """Seconds until the reset; `inf` if nobody named it."""
    period_s: float
    """Seconds from one reset to the next."""


class Tank(Struct, frozen=True):
    """One account; it never closes if it has no levels."""

    levels: tuple[Level, ...]
    opens_s: float = 0.0
    """Seconds until its rest is over; 0 if it doesn't rest."""


class Dry(Struct, frozen=True):
    """The moment from which on no account is open."""

    at_s: float
    """Seconds from now; `inf` if it doesn't come before the horizon."""
    limited_by: str = ""
    """The window that closed the last account; empty if none did."""


def drain(tanks: Sequence[Tank], load: float, *, horizon_s: float) -> Dry:
    """Return when a load of so many units a second leaves no tank open."""
    return _Draining(tanks, load).run(horizon_s)


class _Draining:
    def __init__(self, tanks: Sequence[Tank], load: float) -> None:
        self._tanks = tanks
        self._load = load
        self._at_s = 0.0
        self._spent = 0.0
        """What a tank would have spent that has been open since the beginning."""
        self._open = 0
        self._last = ""
        self._left = [[level.left for level in tank.levels] for tank in tanks]
        """While a tank is open: the value of `_spent` at which the level is empty."""
        self._reasons = [0] * len(tanks)
        """Empty levels of each tank, and its rest; it is open while there is none."""
        self._closings: list[tuple[float, int, int]] = []
        """(value of `_spent`, tank, level); void if the level says otherwise by now."""
        self._fillings: list[tuple[float, int, int]] = []
        """(second, tank, level), level -1 for the end of a rest."""
        for number in range(len(tanks)):
            self._begin(number)

    def run(self, horizon_s: float) -> Dry:
        for _ in range(EVENTS_MAX):
            if not self._open:
                return Dry(self._at_s, self._last)
            filling_s = self._fillings[0][0] if self._fillings else inf
            closing_s = self._closing_s()
            if min(filling_s, closing_s) > horizon_s:
                break
            if closing_s <= filling_s:
                self._advance(closing_s)
                self._close(*heappop(self._closings))
            else:
                self._advance(filling_s)
                _, number, index = heappop(self._fillings)
                self._fill(number, index)
        return Dry(inf)

    def _begin(self, number: int) -> None:
        tank = self._tanks[number]
        self._reasons[number] = sum(left <= 0.0 for left in self._left[number])
        for index, level in enumerate(tank.levels):
            if level.reset_s < inf:
                heappush(self._fillings, (level.reset_s, number, index))
            if level.left <= 0.0:
                self._last = level.name
        if tank.opens_s > 0.0:
            self._reasons[number] += 1
            heappush(self._fillings, (tank.opens_s, number, -1))
        if not self._reasons[number]:
            self._reopen(number)

    def _closing_s(self) -> float:
        """Return when the next level is empty, if nothing is filled before."""
        while self._closings:
            spent, number, index = self._closings[0]
            if not self._reasons[number] and self._left[number][index] == spent:
                return self._at_s + (spent - self._spent) * self._open / self._load
            heappop(self._closings)
        return inf

    def _advance(self, to_s: float) -> None:
        self._spent += (to_s - self._at_s) * self._load / self._open
        self._at_s = to_s

    def _reopen(self, number: int) -> None:
        self._open += 1
        left = self._left[number]
        for index in range(len(left)):
            left[index] += self._spent
            heappush(self._closings, (left[index], number, index))

    def _close(self, spent: float, number: int, index: int) -> None:
        self._spent = spent
        self._open -= 1
        left = self._left[number]
        for each in range(len(left)):
            left[each] -= spent
        self._reasons[number] = sum(rest <= 0.0 for rest in left)
        self._last = self._tanks[number].levels[index].name

    def _fill(self, number: int, index: int) -> None:
        if index >= 0:
            level = self._tanks[number].levels[index]
            heappush(self._fillings, (self._at_s + level.period_s, number, index))
            left = self._left[number]
            if not self._reasons[number]:
                left[index] = self._spent + level.size
                heappush(self._closings, (left[index], number, index))
                return
            was_empty = left[index] <= 0.0
            left[index] = level.size
            if not was_empty:
                return
        self._reasons[number] -= 1
        if not self._reasons[number]:
            self._reopen(number)
