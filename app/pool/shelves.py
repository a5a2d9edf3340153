"""All accounts of a pool on their shelves, and which of them a call may be given. Pure.

Accounts of one class (priority, groups, tags that somebody asks for, kind, plan, models) share a
shelf, so what a call demands is held against shelves and not against accounts, and the answer is
kept. Rests are on heaps, so that nobody looks for those that are over. An account whose state has
changed is to be filed anew. States are only read here, but for rests that end.
"""

from itertools import groupby
from math import inf
from operator import attrgetter
from random import Random
from typing import Final, NamedTuple

from app.domain.account import Account, AccountId, AccountKind
from app.domain.call import Call
from app.domain.needs import NOTHING, Need, able
from app.pool import health, quota
from app.pool.alarms import Alarms
from app.pool.orders import Order
from app.pool.policy import Policy
from app.pool.selection import chooser
from app.pool.shelf import Place, Shelf, Stance
from app.pool.state import AccountState

DEMANDS_MAX: Final = 1_024
PROSPECTS_MAX: Final = 256

Prospect = tuple[float | None, bool]
"""When the first rest ends that keeps an account from a call; whether a settled lease can help."""
_Class = tuple[
    int, AccountKind, str | None, frozenset[str], frozenset[str], frozenset[str], frozenset[str]
]  # fmt: skip
_PRIORITY: Final = attrgetter("priority")


class Wanted(NamedTuple):
    """What a call asks of an account."""

    model: str
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    needs: frozenset[Need] = NOTHING


def wanted_by(call: Call) -> Wanted:
    """Return what `call` asks of an account."""
    return Wanted(call.model, call.groups, call.tags, call.needs)


class Tier:
    """Shelves of equal priority, in the order in which they came."""

    __slots__ = ("orders", "shelves")

    def __init__(self, shelves: list[Shelf]) -> None:
        self.shelves = shelves
        self.orders = [shelf.order for shelf in shelves]

    def unrested(
        self, model: str, excluding: frozenset[AccountId]
    ) -> tuple[list[Order], frozenset[AccountId]]:
        """Return the orders for a model that rests on some accounts, and whom to pass over."""
        orders = []
        for shelf in self.shelves:
            orders.append(shelf.carved.get(model, shelf.order))
            if model not in shelf.carved:
                excluding = excluding.union(shelf.resting.get(model, ()))
        return orders, excluding


class Demand:
    """What some calls ask for, held against the shelves as they are; ask anew for each call."""

    __slots__ = ("model", "shelves", "tiers")

    def __init__(self, model: str, shelves: list[Shelf]) -> None:
        ranked = sorted(shelves, key=_PRIORITY, reverse=True)
        self.model = model
        self.shelves = frozenset(shelves)
        self.tiers = [Tier(list(tier)) for _, tier in groupby(ranked, key=_PRIORITY)]
        """The highest first."""


class Shelves:
    """The accounts of a pool, sorted by what they are and by what they can do now."""

    def __init__(self, policy: Policy, rng: Random) -> None:
        self.places: dict[AccountId, Place] = {}
        """All accounts that are there."""
        self._rng = rng
        self.rebuild(policy, now=0.0)

    def rebuild(self, policy: Policy, *, now: float, tags: frozenset[str] = frozenset()) -> None:
        """Sort everything anew, for a policy that may choose and tell apart otherwise.

        `tags` are told apart besides those of the policy.
        """
        self.policy = policy
        self.soonest = inf
        """Before it `wake` has nothing to do."""
        self._tags = policy.tags | tags
        self._chooser = chooser(policy.strategy, self._rng)
        self.timed = self._chooser.timed
        """What the upstream says of quota windows changes who is the best."""
        self._shelves: dict[_Class, Shelf] = {}
        self._demands: dict[Wanted, Demand] = {}
        self._prospects: dict[tuple[Demand, frozenset[AccountId]], Prospect] = {}
        self._rests: Alarms[AccountId] = Alarms()
        self._model_rests: Alarms[tuple[AccountId, str]] = Alarms()
        self._window_ends: Alarms[AccountId] = Alarms()
        for place in list(self.places.values()):
            place.forget()
            self.put(place, now=now)

    def put(self, place: Place, *, now: float) -> None:
        """File an account that is new, or that may be of another class than before."""
        account = place.state.account
        self.places[account.id] = place
        shelf = self._shelf(account)
        if place.shelf is not shelf:
            self._take_down(place, now)
            place.shelf = shelf
            shelf.count += 1
        self.file(place, now=now)
        self.watch(place, now=now)

    def remove(self, account_id: AccountId, *, now: float) -> Place | None:
        """Take an account away and return its place, which is on no shelf any more."""
        place = self.places.pop(account_id, None)
        if place is not None:
            self._take_down(place, now)
            self._window_ends.drop(account_id)
        return place

    def file(self, place: Place, *, now: float) -> None:
        """Put an account where it belongs, whatever has changed; one that is gone stays so."""
        shelf = place.shelf
        if shelf is None:
            return
        if place.rests != place.state.model_ready_at:
            self._file_model_rests(place, shelf, now)
        if shelf.file(place, now):
            self._prospects.clear()
            self._file_rest(place)

    def taken(self, place: Place, *, now: float) -> None:
        """Note that an account that stood was given a call: less to do than filing it."""
        if place.shelf is not None and place.shelf.taken(place, now):
            self._prospects.clear()

    def watch(self, place: Place, *, now: float) -> None:
        """Have an account filed anew when its next quota window ends, if its rank hangs on it."""
        if not self.timed:
            return
        at = inf
        for gauge in place.state.windows.values():
            ends_at = quota.ends_at(gauge)
            if now < ends_at < at:
                at = ends_at
        account_id = place.state.account.id
        if at < (self._window_ends.get(account_id) or inf):
            self._window_ends.set(account_id, at)
            self.soonest = min(self.soonest, at)

    def wake(self, *, now: float) -> int:
        """End the rests that are over; return how many, of accounts and of models on accounts."""
        if now < self.soonest:
            return 0
        ended = 0
        while (account_id := self._rests.ring(now)) is not None:
            place = self.places[account_id]
            ended += health.wake(place.state, now=now)
            self.file(place, now=now)
        while (rest := self._model_rests.ring(now)) is not None:
            place = self.places[rest[0]]
            place.state.model_ready_at.pop(rest[1], None)
            ended += 1
            self.file(place, now=now)
        while (account_id := self._window_ends.ring(now)) is not None:
            place = self.places[account_id]
            self.file(place, now=now)
            self.watch(place, now=now)
        self.soonest = min(
            self._rests.soonest, self._model_rests.soonest, self._window_ends.soonest
        )
        return ended

    @property
    def next_wake_at(self) -> float | None:
        """When the next rest ends, of an account or of a model on one; None if nothing rests."""
        ends = (self._rests.next_at(), self._model_rests.next_at())
        return min((at for at in ends if at is not None), default=None)

    @property
    def has_room(self) -> bool:
        """Whether any account at all stands."""
        return any(len(shelf.order) for shelf in self._shelves.values())

    def able(self, needs: frozenset[Need]) -> bool:
        """Tell whether any account is of a kind that can do this; True if there is none at all."""
        kinds = {shelf.sample.kind for shelf in self._shelves.values()}
        return not kinds or any(able(kind, needs) for kind in kinds)

    def demand(self, wanted: Wanted, *, now: float) -> Demand:
        """Return the shelves whose accounts may serve such calls at all."""
        found = self._demands.get(wanted)
        if found is not None:
            return found
        if not self._tags.issuperset(wanted.tags):
            self.rebuild(self.policy, now=now, tags=self._tags.union(wanted.tags))
        if len(self._demands) >= DEMANDS_MAX:
            self._demands.clear()
            self._prospects.clear()
        shelves = self._shelves.values()
        fitting = [shelf for shelf in shelves if shelf.fits(self.policy, *wanted)]
        found = self._demands[wanted] = Demand(wanted.model, fitting)
        return found

    def choose(
        self, demand: Demand, *, excluding: frozenset[AccountId], family: str, now: float
    ) -> AccountState | None:
        """Return the account of the highest tier that has one for such a call; None if none has.

        Look at what is to `wake` before. `family` is the limit that the call is metered under.
        """
        model = demand.model
        for tier in demand.tiers:
            orders, hidden = tier.orders, excluding
            for shelf in tier.shelves:
                if model in shelf.resting:
                    orders, hidden = tier.unrested(model, excluding)
                    break
            state = self._chooser.choose(orders, hidden, family, now)
            if state is not None:
                return state
        return None

    def can_take(self, demand: Demand) -> bool:
        """Tell whether some account could be given such a call."""
        model = demand.model
        return any(shelf.can_take(model) for tier in demand.tiers for shelf in tier.shelves)

    def prospect(self, demand: Demand, *, excluding: frozenset[AccountId]) -> Prospect:
        """Return what calls that found nobody can wait for.

        The answer is kept until an account comes or goes, a rest begins or ends, or an account
        becomes full or is it no more.
        """
        asked = (demand, excluding)
        kept = self._prospects.get(asked)
        if kept is None:
            if len(self._prospects) >= PROSPECTS_MAX:
                self._prospects.clear()
            shelves = [shelf for tier in demand.tiers for shelf in tier.shelves]
            ends = [shelf.ready_at(demand.model, excluding) for shelf in shelves]
            at = min((at for at in ends if at is not None), default=None)
            busy = any(shelf.busy(demand.model, excluding) for shelf in shelves)
            kept = self._prospects[asked] = (at, busy)
        return kept

    def _class(self, account: Account) -> _Class:
        return (
            account.priority,
            account.kind,
            account.plan,
            frozenset(account.models),
            frozenset(account.model_map),
            frozenset(account.groups),
            self._tags.intersection(account.tags),
        )

    def _shelf(self, account: Account) -> Shelf:
        key = self._class(account)
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = Shelf(account, key[-1], self._chooser.order)
            self._demands.clear()
            self._prospects.clear()
        return shelf

    def _take_down(self, place: Place, now: float) -> None:
        shelf = place.shelf
        if shelf is None:
            return
        for model in list(place.rests):
            self._end_model_rest(model, place, shelf, now)
        shelf.clear(place, now)
        self._rests.drop(place.state.account.id)
        place.shelf = None
        shelf.count -= 1
        if not shelf.count:
            del self._shelves[self._class(shelf.sample)]
            self._demands.clear()
        self._prospects.clear()

    def _file_rest(self, place: Place) -> None:
        state = place.state
        if place.stance is Stance.COOLING:
            self._rests.set(state.account.id, state.rests_until)
            self.soonest = min(self.soonest, state.rests_until)
        else:
            self._rests.drop(state.account.id)

    def _file_model_rests(self, place: Place, shelf: Shelf, now: float) -> None:
        self._prospects.clear()
        rests = place.state.model_ready_at
        for model in [model for model in place.rests if model not in rests]:
            self._end_model_rest(model, place, shelf, now)
        for model, until in rests.items():
            if place.rests.get(model) != until:
                shelf.rest(model, place, until, now)
                self._model_rests.set((place.state.account.id, model), until)
                self.soonest = min(self.soonest, until)

    def _end_model_rest(self, model: str, place: Place, shelf: Shelf, now: float) -> None:
        shelf.end_rest(model, place, now)
        self._model_rests.drop((place.state.account.id, model))
