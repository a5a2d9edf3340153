"""Money for a day and for a month, by the calendar of UTC. Pure.

What a call may cost is reserved before it begins and settled when its cost is known, so calls that
run side by side can't spend the same money: what is spent never exceeds the budget by more than
calls under way turn out dearer than what was reserved for them.
"""

from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Final, Self

from msgspec import Struct

DAY_S: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()


class Period(StrEnum):
    """What a budget is for."""

    DAY = "day"
    MONTH = "month"


def began_at(period: Period, *, now: float) -> int:
    """Return when the period of `now` began, in epoch seconds."""
    day = int(now // DAY_S)
    return DAY_S * (day if period is Period.DAY else _month(day)[0])


def ends_at(period: Period, *, now: float) -> int:
    """Return when the period of `now` ends, in epoch seconds."""
    day = int(now // DAY_S)
    return DAY_S * (day + 1 if period is Period.DAY else _month(day)[1])


@lru_cache(maxsize=4)
def _month(day: int) -> tuple[int, int]:
    """Return the first day of the month of `day` and that of the next, as days since the epoch."""
    first = date.fromordinal(day + _EPOCH).replace(day=1)
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first.toordinal() - _EPOCH, after.toordinal() - _EPOCH


class Purse(Struct):
    """What one key has spent in one period, in nano-dollars."""

    period: Period
    began_at: int
    ends_at: int
    spent: int = 0
    reserved: int = 0

    @classmethod
    def new(cls, period: Period, *, now: float) -> Self:
        """Return an empty one for the period of `now`."""
        return cls(period, began_at(period, now=now), ends_at(period, now=now))

    def turn(self, *, now: float) -> None:
        """Begin anew if the period is over; what is reserved is still under way and stays."""
        if now >= self.ends_at:
            self.began_at = began_at(self.period, now=now)
            self.ends_at = ends_at(self.period, now=now)
            self.spent = 0

    def affords(self, cost: int, budget: int) -> bool:
        """Tell whether `cost` more fits into the budget, with all that is reserved."""
        return self.spent + self.reserved + cost <= budget
