"""Accounts that differ in nothing a call may ask for, sorted by what they can do now. Pure.

    STANDING  in the order, to be proposed to calls
    FULL      has as many calls in flight as it may: a settled lease makes room
    COOLING   rests until a moment that is known
    OUT       needs a credential or the operator

A model may rest on some of them. While they are few, the choice just passes over them; when more
rest, calls for that model get an order of their own, carved out of the big one. A change costs the
logarithm of the number of accounts at most, but for the carving, and for the search for the
earliest end of a model's rest, which is kept. What a shelf is filed under is `app.pool.shelves`.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from app.domain.account import Account, AccountId
from app.domain.needs import NOTHING, Need, able
from app.pool.alarms import Alarms
from app.pool.orders import Order
from app.pool.policy import Policy
from app.pool.state import AccountState, Health

CARVE_FROM: Final = 8
"""Resting accounts that are just passed over; more of them, and an order is carved."""
CARVED_MAX: Final = 16
"""Models that have an order of their own on one shelf."""
KEPT_MAX: Final = 64
"""Answers that are kept, by model and excluded accounts."""


class Stance(Enum):
    """What an account can do now."""

    OUT = auto()
    COOLING = auto()
    FULL = auto()
    STANDING = auto()


_OUT: Final = Stance.OUT
_COOLING: Final = Stance.COOLING
_FULL: Final = Stance.FULL
_STANDING: Final = Stance.STANDING
_AWAKE: Final = (Health.READY, Health.PROBING)


class Place:
    """Where an account is filed, and as what."""

    __slots__ = ("pause_at", "pauses", "rests", "shelf", "stance", "state")

    def __init__(self, state: AccountState) -> None:
        self.state = state
        self.shelf: Shelf | None = None
        """None for an account that is gone but for its calls in flight."""
        self.stance = _OUT
        self.rests: dict[str, float] = {}
        """Models that rest on it, and until when."""
        self.pauses: dict[str, tuple[float, float]] = {}
        """Those that rest because a limit of their own is used up: until when, and until when they
        would rest otherwise."""
        self.pause_at = 1.0
        """Share of a quota window at which it is paused."""

    def forget(self) -> None:
        """Be on no shelf and filed as nothing, whatever the shelf says."""
        self.shelf = None
        self.stance = _OUT
        self.rests = {}

    def takes(self, model: str) -> bool:
        """Tell whether the account can take a call for `model` now, if it is entitled to."""
        return self.stance is _STANDING and model not in self.rests

    def busy(self, model: str) -> bool:
        """Tell whether nothing but calls in flight can keep the account from `model`."""
        return self.stance in (_STANDING, _FULL) and model not in self.rests

    def ready_at(self, model: str) -> float | None:
        """Return when rests that keep the account from `model` are over; None without any."""
        if self.stance is _COOLING:
            return max(self.state.rests_until, self.rests.get(model, 0.0))
        return None if self.stance is _OUT else self.rests.get(model)


class Shelf:
    """Accounts of one class: equal in priority, groups, tags, kind, plan and models.

    `sample` is any one of them. Of the tags only those in `tags` are told apart.
    """

    def __init__(self, sample: Account, tags: frozenset[str], make: Callable[[], Order]) -> None:
        self.sample = sample
        self.priority = sample.priority
        self.count = 0
        """Accounts that are filed here."""
        self.order = make()
        """Who stands."""
        self.resting: dict[str, dict[AccountId, Place]] = {}
        """Model to the accounts that it rests on, whatever they can do otherwise."""
        self.carved: dict[str, Order] = {}
        """Model to those who stand and that it does not rest on."""
        self._groups = frozenset(sample.groups)
        self._tags = tags
        self._make = make
        self._full: dict[AccountId, Place] = {}
        self._cooling: Alarms[AccountId] = Alarms()
        self._kept: dict[tuple[str, frozenset[AccountId]], float | None] = {}

    def fits(
        self,
        policy: Policy,
        model: str,
        groups: tuple[str, ...],
        tags: tuple[str, ...],
        needs: frozenset[Need] = NOTHING,
    ) -> bool:
        """Tell whether accounts from here may serve such a call at all."""
        return (
            (not groups or not self._groups.isdisjoint(groups))
            and self._tags.issuperset(tags)
            and able(self.sample.kind, needs)
            and policy.entitled(self.sample, model)
        )

    def file(self, place: Place, now: float) -> bool:
        """Put an account where its state says that it belongs; True if it was elsewhere."""
        state = place.state
        health = state.health
        if health in _AWAKE:
            stance = _FULL if state.in_flight >= state.cap else _STANDING
        elif health is Health.EXPIRED and state.renewing:
            # Like a full one it can take calls as soon as something else ends.
            stance = _FULL
        else:
            stance = _COOLING if health is Health.COOLING else _OUT
        if stance is not place.stance:
            self._move(place, stance, now)
            return True
        if stance is _STANDING:
            self.order.moved(state, now)
            for model, order in self.carved.items():
                if model not in place.rests:
                    order.moved(state, now)
        elif stance is _COOLING and self._cooling.get(state.account.id) != state.rests_until:
            self._cooling.set(state.account.id, state.rests_until)
            self._kept.clear()
            return True
        return False

    def taken(self, place: Place, now: float) -> bool:
        """Note that an account that stood was given a call; True if it is full now."""
        state = place.state
        if state.in_flight >= state.cap:
            self._move(place, _FULL, now)
            return True
        return False

    def clear(self, place: Place, now: float) -> None:
        """Let an account go; no model may rest on it any more."""
        self._move(place, _OUT, now)

    def rest(self, model: str, place: Place, until: float, now: float) -> None:
        """Let a model rest on an account, or change until when it does."""
        self._kept.clear()
        if model not in place.rests:
            self._begin_rest(model, place, now)
        place.rests[model] = until

    def end_rest(self, model: str, place: Place, now: float) -> None:
        """End the rest of a model on an account."""
        self._kept.clear()
        del place.rests[model]
        resting = self.resting[model]
        del resting[place.state.account.id]
        if not resting:
            del self.resting[model]
            self.carved.pop(model, None)
        elif model in self.carved and place.stance is _STANDING:
            self.carved[model].add(place.state, now)

    def can_take(self, model: str) -> bool:
        """Tell whether an account stands that `model` does not rest on."""
        if model in self.carved:
            return len(self.carved[model]) > 0
        resting = self.resting.get(model, {})
        return any(state.account.id not in resting for state in self.order)

    def busy(self, model: str, excluding: frozenset[AccountId]) -> bool:
        """Tell whether an account could take such a call but for its calls in flight."""
        resting = self.resting.get(model, {})
        order = self.carved.get(model, self.order)
        standing = (state.account.id for state in order)
        return any(
            account_id not in excluding and account_id not in resting
            for ids in (self._full, standing)
            for account_id in ids
        )

    def ready_at(self, model: str, excluding: frozenset[AccountId]) -> float | None:
        """Return when the first rest ends that keeps an account from such a call, if any does."""
        if model not in self.resting:
            return self._cooling.next_at(excluding)
        asked = (model, excluding)
        if asked not in self._kept:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            self._kept[asked] = self._search(model, excluding)
        return self._kept[asked]

    def _search(self, model: str, excluding: frozenset[AccountId]) -> float | None:
        resting = self.resting[model]
        seen = excluding | resting.keys()
        ends = [place.ready_at(model) for name, place in resting.items() if name not in excluding]
        ends += [at for name, at in self._cooling.items() if name not in seen]
        return min((at for at in ends if at is not None), default=None)

    def _begin_rest(self, model: str, place: Place, now: float) -> None:
        resting = self.resting.setdefault(model, {})
        resting[place.state.account.id] = place
        if model in self.carved:
            if place.stance is _STANDING:
                self.carved[model].discard(place.state)
        elif len(resting) > CARVE_FROM and len(self.carved) < CARVED_MAX:
            order = self.carved[model] = self._make()
            for state in self.order:
                if state.account.id not in resting:
                    order.add(state, now)

    def _move(self, place: Place, stance: Stance, now: float) -> None:
        state = place.state
        account_id = state.account.id
        if {stance, place.stance} != {_STANDING, _FULL}:
            self._kept.clear()
        match place.stance:
            case Stance.STANDING:
                for order in self._orders(place):
                    order.discard(state)
            case Stance.FULL:
                del self._full[account_id]
            case Stance.COOLING:
                self._cooling.drop(account_id)
        match stance:
            case Stance.STANDING:
                for order in self._orders(place):
                    order.add(state, now)
            case Stance.FULL:
                self._full[account_id] = place
            case Stance.COOLING:
                self._cooling.set(account_id, state.rests_until)
        place.stance = stance

    def _orders(self, place: Place) -> list[Order]:
        """Return the orders in which the account stands, if it does."""
        carved = [order for model, order in self.carved.items() if model not in place.rests]
        return [self.order, *carved]
