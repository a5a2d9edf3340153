"""Every refusal can be explained, and explaining a storm of them costs little."""

from random import Random

from msgspec import Struct

from app.domain.account import Account, AccountId
from app.domain.runtime import Explain, Strategy
from app.pool.affinity import AffinityTable
from app.pool.explanation import LOOKS_MAX, Explanations
from app.pool.policy import Policy
from app.pool.pool import AccountPool
from app.pool.state import AccountState
from app.pool.survey import Why
from tests.fakes.accounts import account, call

NOBODY: frozenset[AccountId] = frozenset()


class Pool:
    """A pool that counts how often it is walked."""

    def __init__(self, *states: AccountState) -> None:
        self._states = states
        self.policy = Policy(strategy=Strategy.LEAST_USED)
        self.families: dict[str, str] = {}
        self.walks = 0

    @property
    def states(self) -> tuple[AccountState, ...]:
        """All accounts."""
        self.walks += 1
        return self._states


class Lease(Struct, frozen=True):
    """The part of a lease that is explained."""

    account: Account
    number: int = 1
    reason: str = "session"


def resting(count: int = 1) -> Pool:
    """Return a pool in which every account rests."""
    return Pool(*(AccountState(account(f"a{n}"), ready_at=9e9) for n in range(count)))


def refuse(explanations: Explanations, pool: Pool, asked=None, *, now=100.0, **changes) -> None:
    """Explain a refusal."""
    facts = {"excluding": NOBODY, "code": "pool_busy"} | changes
    explanations.refused(pool, asked or call(), now=now, **facts)


def test_a_refusal_tells_who_asked_for_what_and_who_could_not():
    """The commonest reason stands for all."""
    explanations = Explanations()
    asked = call(id="r1", model="m1", groups=("g",), tags=("t",))
    configured = account("a", groups=("g",), tags=("t",))
    pool = Pool(AccountState(configured, ready_at=200.0), AccountState(account("b")))
    refuse(explanations, pool, asked, excluding=frozenset({AccountId("b")}), now=100.5)
    (told,) = explanations.find("r1")
    assert (told.at, told.surveyed_at) == (100.5, 100.5)
    assert (told.caller_id, told.model, told.groups, told.tags) == ("key-1", "m1", ("g",), ("t",))
    assert (told.strategy, told.account_id, told.code) == (Strategy.LEAST_USED, None, "pool_busy")
    assert told.reason in {Why.RESTING, Why.TRIED}
    assert told.survey.counts == {Why.TRIED: 1, Why.RESTING: 1}
    assert explanations.find("r2") == ()


def test_a_refusal_for_want_of_the_owner_says_so():
    """Other accounts could not read what the call holds."""
    explanations = Explanations()
    refuse(explanations, Pool(AccountState(account("a"))), only=AccountId("b"))
    assert explanations.recent(1)[0].reason == Why.ELSEWHERE


def test_a_refusal_by_an_empty_pool_has_no_reason():
    """Nobody was excluded, as nobody is there."""
    explanations = Explanations()
    refuse(explanations, Pool())
    (told,) = explanations.recent(1)
    assert (told.reason, told.surveyed_at) == ("", 100.0)


def test_a_selection_tells_the_account_and_why():
    """As things stood before the lease."""
    explanations = Explanations(mode=Explain.ALL)
    states = (AccountState(account("a"), in_flight=1), AccountState(account("b"), tokens=5))
    explanations.selected(Pool(*states), call(), Lease(states[0].account), now=100.0)
    (told,) = explanations.recent(9)
    assert (told.account_id, told.code, told.reason) == ("a", None, "session")
    shown = [(each.account_id, each.in_flight) for each in told.survey.candidates]
    assert shown == [("a", 0), ("b", 0)]


def test_a_pool_explains_its_own_decisions():
    """What it leased and whom it left out is what the explanation says."""
    pool = AccountPool(rng=Random(1), affinity=AffinityTable(entries_max=9, ttl_s=60.0))
    pool.apply([account("a", concurrency_max=1), account("b", groups=("g",))], now=100.0)
    explanations = Explanations(mode=Explain.ALL)
    asked = call(groups=("g",))
    lease = pool.lease(asked, excluding=NOBODY, now=100.0)
    explanations.selected(pool, asked, lease, now=100.0)
    tried = frozenset({AccountId("b")})
    assert not isinstance(pool.lease(asked, excluding=tried, now=100.0), type(lease))
    refuse(explanations, pool, asked, excluding=tried)
    refused, selected = explanations.recent(2)
    assert (selected.account_id, selected.reason) == ("b", "balanced")
    assert [each.account_id for each in selected.survey.candidates] == ["b"]
    assert refused.survey.counts == {Why.GROUP: 1, Why.TRIED: 1}


def test_a_selection_is_described_as_of_its_own_moment():
    """The lists of another call would count that one's lease."""
    explanations = Explanations(mode=Explain.ALL)
    state = AccountState(account("a"), in_flight=1)
    pool = Pool(state)
    explanations.selected(pool, call(), Lease(state.account), now=100.0)
    state.in_flight = 2
    explanations.selected(pool, call(), Lease(state.account), now=100.0)
    refuse(explanations, pool)
    shown = [told.survey.candidates[0].in_flight for told in explanations.recent(9)]
    assert shown == [2, 1, 0]


def test_only_what_is_asked_for_is_explained():
    """Switched while running; what is off does not even look at the accounts."""
    explanations = Explanations()
    pool = resting()
    lease = Lease(account("a0"))
    kept = []
    for mode in (Explain.OFF, Explain.REFUSALS, Explain.ALL):
        explanations.mode = mode
        refuse(explanations, pool)
        explanations.selected(pool, call(), lease, now=100.0)
        kept.append((len(explanations), pool.walks))
    assert kept == [(0, 0), (1, 1), (3, 2)]


def test_the_latest_are_kept_and_the_oldest_go():
    """A call that was refused twice has two explanations, in their order."""
    explanations = Explanations(entries_max=3)
    for number, name in enumerate(("r1", "r2", "r1", "r3")):
        refuse(explanations, resting(), call(id=name), now=float(number))
    assert [told.call_id for told in explanations.recent(9)] == ["r3", "r1", "r2"]
    assert [told.call_id for told in explanations.recent(1)] == ["r3"]
    assert explanations.recent(0) == ()
    refuse(explanations, resting(), call(id="r1"), now=4.0)
    assert [told.at for told in explanations.find("r1")] == [2.0, 4.0]


def test_a_storm_of_equal_refusals_is_one_walk_a_second():
    """All of them share the lists; another demand and another second are walked for."""
    explanations = Explanations()
    pool = resting(3)
    for number in range(500):
        refuse(explanations, pool, call(id=f"r{number}"), now=100.0 + number / 1_000)
    assert pool.walks == 1
    told = explanations.recent(500)
    assert all(each.survey is told[0].survey for each in told)
    assert told[0].surveyed_at == 100.0
    for other in (
        {"asked": call(model="m2")}, {"asked": call(groups=("g",))}, {"asked": call(tags=("t",))},
        {"excluding": frozenset({AccountId("a1")})}, {"only": AccountId("a1")}, {"now": 101.0},
    ):  # fmt: skip
        walks = pool.walks
        refuse(explanations, pool, **other)
        assert pool.walks == walks + 1


def test_a_storm_of_different_refusals_stops_walking_within_the_second():
    """What is past the budget is kept without lists, and the next second has a new budget."""
    explanations = Explanations()
    pool = resting(1_999)
    for number in range(50):
        refuse(explanations, pool, call(id=f"r{number}", model=f"m{number}"))
    assert pool.walks == LOOKS_MAX // 2_000
    (last,) = explanations.find("r49")
    assert (last.surveyed_at, last.reason, last.survey.looked_at) == (None, "", 0)
    refuse(explanations, pool, now=101.0)
    assert explanations.recent(1)[0].surveyed_at == 101.0
