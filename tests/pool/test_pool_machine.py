"""Whatever happens to a pool in whatever order: its answers are those of a plain walk."""

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from msgspec.structs import replace

from app.domain.account import Account, AccountId, Credential, Secret
from app.domain.call import Call
from app.domain.outcome import (
    Abandoned,
    Broken,
    Outcome,
    Overloaded,
    RateLimited,
    Succeeded,
    Unauthorized,
    Unreachable,
    Unsuited,
)
from app.domain.quota import MAIN_FAMILY, Credits, QuotaView, QuotaWindow
from app.domain.runtime import Strategy
from app.domain.usage import Usage
from app.pool import alarms, orders, pausing, selection, shelf, shelves
from app.pool.affinity import AffinityTable
from app.pool.alarms import Alarms
from app.pool.orders import Ranking
from app.pool.policy import Policy
from app.pool.pool import AccountPool, Lease, NotBefore
from app.pool.shelf import Place, Stance
from app.pool.shelves import Wanted
from app.pool.state import AccountState, Health
from tests.fakes.accounts import account, call

NOW = 1_000.0
NAMES = [f"a{n}" for n in range(5)]
OUTCOMES: list[Outcome] = [
    Succeeded(0.1),
    Succeeded(2.0, Usage(input=900, output=100)),
    Abandoned(),
    Broken("cut", sent=True),
    Unreachable("proxy"),
    Overloaded("busy"),
    RateLimited(None),
    RateLimited(1_500.0),
    RateLimited(None, burst=True),
    RateLimited(None, burst=True, model="m1"),
    RateLimited(NOW + 900, model="m1"),
    RateLimited(NOW + 3_000, model="m2"),
    Unauthorized(dead=False, reason="expired"),
    Unauthorized(dead=True, reason="gone"),
    Unsuited("m1", "no"),
    Unsuited("m2", "no"),
]
RANKS = {
    Strategy.ROUND_ROBIN: selection.idle_longest,
    Strategy.LEAST_USED: selection.least_used,
    Strategy.REMAINING_QUOTA: selection.remaining_quota,
    Strategy.FILL_FIRST: selection.fill_first,
}

names = st.sampled_from(NAMES)
models = st.sampled_from(["m1", "m2", "m3"])
groups = st.sampled_from([(), ("g1",), ("g2",), ("g1", "g2")])
tags = st.sampled_from([(), ("t1",), ("t2",), ("t1", "t2")])
accounts = st.fixed_dictionaries(
    {
        "concurrency_max": st.integers(1, 3),
        "priority": st.sampled_from([0, 0, 1]),
        "groups": groups,
        "tags": tags,
        "plan": st.sampled_from([None, "plus", "free"]),
        "models": st.sampled_from([(), (), ("m1", "m3")]),
        "pause_at": st.sampled_from([None, None, 0.5]),
    }
)
plain = st.just({"concurrency_max": 2, "groups": ("g1",), "tags": ("t1",)})
policies = st.builds(
    Policy,
    strategy=st.sampled_from(Strategy),
    pause_at=st.sampled_from([1.0, 0.9]),
    group_pause_at=st.sampled_from([{}, {"g1": 0.4}]),
    tags=st.sampled_from([frozenset(), frozenset({"t1"}), frozenset({"t1", "t2"})]),
    plans=st.sampled_from([{}, {"m2": frozenset({"plus"})}]),
)
calls = st.builds(
    call,
    model=models,
    groups=st.sampled_from([(), (), ("g1",), ("g2", "g1")]),
    tags=st.sampled_from([(), (), ("t1",), ("t2", "t1")]),
    session_key=st.sampled_from([None, "s1", "s2"]),
    owner_keys=st.sampled_from([(), (), ("o1",)]),
)
excluded = st.frozensets(names.map(AccountId), max_size=2)
windows = st.tuples(
    st.sampled_from([MAIN_FAMILY, MAIN_FAMILY, "other"]),
    st.sampled_from([300, 10_080]),
    st.sampled_from([0.0, 0.3, 0.5, 0.77, 0.95, 1.0]),
    st.sampled_from([None, 5.0, 100.0, 3_000.0]),
)
observed = st.builds(
    QuotaView,
    active_family=st.sampled_from([None, MAIN_FAMILY, "other"]),
    limit_reached=st.sampled_from([None, None, False, True]),
    credits=st.sampled_from([None, None, None, Credits(available=True), Credits(available=False)]),
)


@pytest.fixture(autouse=True)
def tight(monkeypatch):
    """Make every bound so small that a few accounts reach it."""
    monkeypatch.setattr(alarms, "SLACK", 3)
    monkeypatch.setattr(orders, "SLACK", 3)
    monkeypatch.setattr(shelf, "CARVE_FROM", 1)
    monkeypatch.setattr(shelf, "CARVED_MAX", 1)
    monkeypatch.setattr(shelf, "KEPT_MAX", 3)
    monkeypatch.setattr(shelves, "DEMANDS_MAX", 5)
    monkeypatch.setattr(shelves, "PROSPECTS_MAX", 3)
    monkeypatch.setattr(pausing, "FAMILIES_MAX", 2)


class PoolMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, the books are right."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.affinity = AffinityTable(entries_max=1_000, ttl_s=500.0)
        self.pool = AccountPool(rng=Random(1), affinity=self.affinity)
        self.generations = dict.fromkeys(NAMES, 0)
        self.configured: dict[str, dict] = {}
        """The accounts that are in the store."""
        self.out: dict[int, Lease] = {}
        self.named: dict[tuple[str, str], float] = {}
        """Until when a model is to rest on an account at least, as was said when it was refused."""

    def stored(self, name: str) -> Account:
        """Return the account as the store has it."""
        generation = self.generations[name]
        # Some can be renewed and some can not.
        token = Credential(Secret("at"), generation, renewable=name in NAMES[::2])
        return account(name, credential=token, **self.configured[name])

    @rule(wanted=st.dictionaries(names, accounts | plain))
    def apply(self, wanted):
        """The store's rows arrive."""
        self.configured = wanted
        self.pool.apply([self.stored(name) for name in wanted], now=self.now)

    @initialize(
        wanted=st.fixed_dictionaries(dict.fromkeys(NAMES, plain | accounts)), policy=policies
    )
    def open(self, wanted, policy):
        """All accounts are there."""
        self.apply(wanted)
        self.configure(policy)

    @rule(name=names, changes=accounts)
    def put(self, name, changes):
        """One account has a new credential, and is another one in all that it may be."""
        self.generations[name] += 1
        self.configured[name] = changes
        self.pool.put(self.stored(name), now=self.now)

    @rule(policy=policies)
    def configure(self, policy):
        """The operator decides anew."""
        self.pool.configure(policy, now=self.now)
        assert self.pool.policy == policy

    @rule(name=names)
    def fail_to_renew(self, name):
        """There is no new credential, and none is to be waited for."""
        self.pool.not_renewed(AccountId(name))

    @rule(name=names)
    def reset(self, name):
        """The operator has an account forget its rests."""
        self.named = {which: at for which, at in self.named.items() if which[0] != name}
        self.pool.reset(AccountId(name), now=self.now)

    @rule(seconds=st.sampled_from([0.1, 3.0, 70.0, 2_000.0]))
    def wait(self, seconds):
        """Time passes."""
        self.now += seconds

    @rule()
    def wake(self):
        """Rests that are over end, and no others."""
        due = sum(
            (state.health is Health.COOLING and state.rests_until <= self.now)
            + sum(until <= self.now for until in state.model_ready_at.values())
            for state in self.pool.states
        )
        assert self.pool.wake(now=self.now) == due
        assert self.pool.wake(now=self.now) == 0

    @rule(name=names, view=observed, heard=st.lists(windows, max_size=3), model=st.none() | models)
    def observe(self, name, view, heard, model):
        """An upstream speaks of limits."""
        said = tuple(
            QuotaWindow(family, minutes, used, None if after is None else self.now + after)
            for family, minutes, used, after in heard
        )
        view = replace(view, windows=said)
        self.pool.observe(AccountId(name), view, model=model, now=self.now)

    @rule(name=names, key=st.sampled_from(["s1", "s2", "o1"]))
    def bind(self, name, key):
        """A session or an item is known to belong to an account."""
        self.pool.bind(key, AccountId(name), now=self.now)

    @rule(
        target=leases,
        wanted=calls,
        excluding=excluded,
        preferring=st.none() | names,
        only=st.none() | st.none() | names,
    )
    def lease(self, wanted, excluding, preferring, only):
        """A call asks for an account."""
        able = [
            state
            for state in self.entitled(wanted, excluding, only)
            if self.busy(state, wanted.model) and self.has_room(state)
        ]
        strategy = self.pool.policy.strategy
        best = max((state.account.priority for state in able), default=0)
        rank = RANKS.get(strategy)
        tier = [state for state in able if state.account.priority == best]
        first = min(tier, key=lambda s: rank(s, self.now), default=None) if rank else None
        bound = {
            "preferred": {preferring},
            "owner": {self.pool.owner(key, now=self.now) for key in wanted.owner_keys},
            "session": {self.pool.owner(wanted.session_key or "", now=self.now)},
            "only": {only},
        }
        expected = self.expected(wanted, excluding, only)
        taken = self.pool.lease(
            wanted, excluding=excluding, preferring=preferring, only=only, now=self.now
        )
        if not isinstance(taken, Lease):
            assert not able
            assert taken == expected
            return None
        chosen = taken.account.id
        assert chosen in {state.account.id for state in able}
        if taken.reason in bound:
            assert chosen in bound[taken.reason]
        else:
            assert taken.reason == strategy
            assert only is None
            assert taken.account.priority == best
            assert not {state.account.id for state in able} & set().union(*bound.values())
            assert first is None or chosen == first.account.id
        self.out[taken.number] = taken
        return taken

    @rule(
        wanted=calls,
        outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=8),
        excluding=excluded,
    )
    def calls_that_end(self, wanted, outcomes, excluding):
        """Calls that overlap, and how they end."""
        taken = [self.lease(wanted, excluding, None, None) for _ in outcomes]
        for lease, outcome in zip(taken, outcomes, strict=True):
            self.settle(lease, outcome)

    @rule(wanted=calls, excluding=excluded, only=st.none() | st.none() | names)
    def ask(self, wanted, excluding, only):
        """Somebody wants to know how long to wait, and whether to try at all."""
        expected = self.expected(wanted, excluding, only)
        asked = self.pool.not_before(wanted, excluding=excluding, only=only, now=self.now)
        assert asked == expected
        able = [s for s in self.entitled(wanted, frozenset(), None) if self.has_room(s)]
        can = any(self.busy(state, wanted.model) for state in able)
        demand = (wanted.model, wanted.groups, wanted.tags)
        assert self.pool.can_take(Wanted(*demand), now=self.now) == can
        room = [s for s in self.pool.states if s.health in (Health.READY, Health.PROBING)]
        assert self.pool.has_room(now=self.now) == any(not state.full for state in room)

    @rule(taken=leases, first_event_s=st.sampled_from([0.1, 40.0]))
    def begin(self, taken, first_event_s):
        """Content comes, or comes again, or is told of too late."""
        if taken is not None:
            self.pool.began(taken, first_event_s=first_event_s, now=self.now)

    @rule(taken=consumes(leases), outcome=st.sampled_from(OUTCOMES))
    def settle(self, taken, outcome):
        """An attempt is over."""
        if taken is not None:
            del self.out[taken.number]
            self.pool.settle(taken, outcome, now=self.now)
            if isinstance(outcome, RateLimited) and outcome.model and outcome.reset_at:
                self.named[taken.account.id, outcome.model] = outcome.reset_at
            with pytest.raises(KeyError):
                self.pool.settle(taken, outcome, now=self.now)

    def entitled(self, wanted: Call, excluding, only) -> list[AccountState]:
        """Return the accounts that may serve the call, whatever they do now."""
        policy = self.pool.policy
        return [
            state
            for state in self.pool.states
            if state.account.id not in excluding
            and only in (None, state.account.id)
            and policy.entitled(state.account, wanted.model)
            and (not wanted.groups or set(wanted.groups) & set(state.account.groups))
            and set(wanted.tags) <= set(state.account.tags)
        ]

    def busy(self, state: AccountState, model: str) -> bool:
        """Tell whether no rest and no credential keeps the account from the model."""
        rests = state.health is Health.COOLING and state.rests_until > self.now
        model_rests = state.model_ready_at.get(model, 0.0) > self.now
        return not rests and not model_rests and not out(state)

    def has_room(self, state: AccountState) -> bool:
        """Tell whether one more call is within the cap; who just woke may try one."""
        if state.health is Health.EXPIRED:
            return False
        return state.health is Health.COOLING or state.in_flight < state.cap

    def expected(self, wanted: Call, excluding, only) -> NotBefore:
        """Return what a call that finds nobody is to be told."""
        ends = []
        busy = False
        for state in self.entitled(wanted, excluding, only):
            model_at = state.model_ready_at.get(wanted.model, 0.0)
            until = max(model_at, state.rests_until * (state.health is Health.COOLING))
            if self.busy(state, wanted.model):
                busy = True
            elif not out(state):
                ends.append(until)
        return NotBefore(min(ends, default=None), busy)

    @invariant()
    def leases_out_are_calls_in_flight(self):
        """In all and for each account."""
        assert self.pool.leases == len(self.out)
        assert self.pool._waiting <= self.out.keys()
        counts = dict.fromkeys(NAMES, 0)
        for taken in self.out.values():
            counts[taken.account.id] += 1
        for state in self.pool.states:
            assert state.in_flight == counts[state.account.id]

    @invariant()
    def the_pool_has_the_accounts_of_the_store(self):
        """Those and no others, and who is gone is remembered for its calls in flight only."""
        assert {state.account.id for state in self.pool.states} == set(self.configured)
        assert all(place.state.in_flight for place in self.pool._leaving.values())

    @invariant()
    def a_model_rests_while_its_own_limit_is_used_up(self):
        """And a pause that was taken back is no rest."""
        for place in self.pool._shelves.places.values():
            assert (
                place.pauses.keys() <= set(self.pool.families) | place.state.model_ready_at.keys()
            )

    @invariant()
    def every_account_is_filed_where_it_belongs(self):
        """Once, and nobody else."""
        for each in self.pool._shelves._shelves.values():
            here = [p for p in self.pool._shelves.places.values() if p.shelf is each]
            assert each.count == len(here) > 0
            stand = {p.state.account.id for p in here if p.stance is Stance.STANDING}
            assert sorted(state.account.id for state in each.order) == sorted(stand)
            assert each._full.keys() == ids(here, Stance.FULL)
            assert dict(each._cooling.items()) == {
                p.state.account.id: p.state.rests_until for p in here if p.stance is Stance.COOLING
            }
            assert {(m, name) for m, resting in each.resting.items() for name in resting} == {
                (model, p.state.account.id) for p in here for model in p.rests
            }
            for model, order in each.carved.items():
                rested = each.resting[model].keys()
                assert {state.account.id for state in order} == stand - rested
        for place in self.pool._shelves.places.values():
            assert place.stance is stance_of(place.state)
            assert place.rests == place.state.model_ready_at

    @invariant()
    def what_ends_is_on_the_heaps(self):
        """And the earliest of it is known."""
        found = self.pool._shelves
        places = found.places.values()
        resting = {p.state.account.id: p.state.rests_until for p in places if cools(p)}
        model_rests = {
            (p.state.account.id, model): at for p in places for model, at in p.rests.items()
        }
        assert dict(found._rests.items()) == resting
        assert dict(found._model_rests.items()) == model_rests
        ends = [*resting.values(), *model_rests.values()]
        assert self.pool.next_wake_at == min(ends, default=None)
        assert found.soonest <= min(ends, default=float("inf"))

    @invariant()
    def everything_is_bounded(self):
        """By the number of accounts or by a constant."""
        found = self.pool._shelves
        assert len(found._demands) <= shelves.DEMANDS_MAX
        assert len(found._prospects) <= shelves.PROSPECTS_MAX
        assert len(self.pool.families) <= pausing.FAMILIES_MAX
        for heap in (found._rests, found._model_rests, found._window_ends):
            assert swept(heap)
        for each in found._shelves.values():
            assert len(each.carved) <= shelf.CARVED_MAX
            assert len(each._kept) <= shelf.KEPT_MAX
            assert swept(each._cooling)
            for order in (each.order, *each.carved.values()):
                if isinstance(order, Ranking):
                    assert len(order._heap) <= 2 * len(order) + orders.SLACK + 1

    def teardown(self):
        """After the last call nothing is left over."""
        for taken in self.out.values():
            self.pool.settle(taken, Succeeded(0.1), now=self.now)
        assert self.pool.leases == 0
        assert self.pool._leaving == {}


def ids(places: list[Place], stance: Stance) -> set[AccountId]:
    """Return the accounts that are filed so."""
    return {place.state.account.id for place in places if place.stance is stance}


def cools(place: Place) -> bool:
    """Tell whether the account rests as a whole."""
    return place.stance is Stance.COOLING


def out(state: AccountState) -> bool:
    """Tell whether only people can help the account."""
    waits = state.health is Health.EXPIRED and state.renewing
    return state.health in (Health.EXPIRED, Health.BANNED) and not waits


def stance_of(state: AccountState) -> Stance:
    """Return what an account can do, by its state alone."""
    match state.health:
        case Health.EXPIRED if state.renewing:
            return Stance.FULL
        case Health.EXPIRED | Health.BANNED:
            return Stance.OUT
        case Health.COOLING:
            return Stance.COOLING
        case _:
            return Stance.FULL if state.full else Stance.STANDING


def swept(heap: Alarms) -> bool:
    """Tell whether no more is left behind on a heap than is worth a sweep."""
    return len(heap._heap) <= 2 * len(heap) + alarms.SLACK + 1


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPoolMachine = PoolMachine.TestCase
