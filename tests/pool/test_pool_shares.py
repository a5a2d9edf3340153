"""Who gets how many of many calls, by each strategy, through the whole pool."""

from collections import Counter, deque
from random import Random

import pytest
from msgspec.structs import replace

from app.domain.account import Account, AccountId
from app.domain.outcome import RateLimited, Succeeded
from app.domain.quota import MAIN_FAMILY, QuotaView, QuotaWindow
from app.domain.runtime import Strategy
from app.domain.usage import Usage
from app.pool.affinity import AffinityTable
from app.pool.policy import Policy
from app.pool.pool import AccountPool, Lease
from app.pool.state import Health
from tests.fakes.accounts import account, call

NOW = 1_000.0
RESET = 1e6
NOBODY: frozenset[AccountId] = frozenset()
EVEN = [strategy for strategy in Strategy if strategy is not Strategy.FILL_FIRST]


class Load:
    """A pool under calls that overlap; each takes as long as every other."""

    def __init__(self, strategy: Strategy, *accounts: Account, in_flight: int = 4) -> None:
        affinity = AffinityTable(entries_max=1, ttl_s=1.0)
        self.pool = AccountPool(rng=Random(5), affinity=affinity, policy=Policy(strategy=strategy))
        self.pool.apply(accounts, now=NOW)
        self.now = NOW
        self.in_flight = in_flight
        self.running: deque[Lease] = deque()
        self.used: Counter[str] = Counter()
        """Percent of its window that each account has used."""

    def hear(self, name: str, percent: float) -> None:
        """Let an account's upstream say how much is used."""
        self.used[name] = percent
        windows = (QuotaWindow(MAIN_FAMILY, 300, percent / 100, RESET),)
        self.pool.observe(AccountId(name), QuotaView(windows), model=None, now=self.now)

    def calls(self, count: int, *, costs: float = 0.0, waits=lambda: 0.5) -> Counter[str]:
        """Make calls, each of which costs so many percent; return how many went where."""
        taken: Counter[str] = Counter()
        for _ in range(count):
            self.now += 0.01
            lease = self.pool.lease(call(), excluding=NOBODY, now=self.now)
            assert isinstance(lease, Lease)
            name = lease.account.id
            taken[name] += 1
            if costs:
                self.hear(name, self.used[name] + costs)
            self.pool.began(lease, first_event_s=waits(), now=self.now)
            self.running.append(lease)
            while len(self.running) >= self.in_flight:
                self.end(Succeeded(0.5, Usage(input=100)))
        return taken

    def end(self, outcome) -> None:
        """Settle the oldest call."""
        self.pool.settle(self.running.popleft(), outcome, now=self.now)


def even(taken: Counter[str], expected: float) -> bool:
    """Tell whether all shares are within a tenth of what is expected."""
    return all(abs(count - expected) <= 0.1 * expected for count in taken.values())


@pytest.mark.parametrize("strategy", EVEN)
@pytest.mark.parametrize("in_flight", [1, 4, 30])
def test_equal_accounts_get_equal_shares(strategy, in_flight):
    """Within a tenth, in a quiet pool and in a busy one."""
    load = Load(strategy, *(account(f"a{n}") for n in range(12)), in_flight=in_flight)
    taken = load.calls(1_200)
    assert len(taken) == 12
    assert even(taken, 100), taken


@pytest.mark.parametrize("typical_s", [0.3, 1.0, 3.0, 12.0])
@pytest.mark.parametrize("pause_s", [0.1, 60.0])
def test_waits_that_are_chance_starve_nobody(typical_s, pause_s):
    """In a busy pool, and in one whose accounts are hardly ever asked."""
    load = Load(Strategy.BALANCED, *(account(f"a{n}") for n in range(20)))
    rng = Random(3)
    taken: Counter[str] = Counter()
    for _ in range(2_000):
        load.now += pause_s
        taken += load.calls(1, waits=lambda: typical_s * rng.lognormvariate(0.0, 0.7))
    assert len(taken) == 20
    assert all(60 <= count <= 140 for count in taken.values()), taken


@pytest.mark.parametrize("strategy", [Strategy.BALANCED, Strategy.ROUND_ROBIN])
def test_shares_are_even_over_classes_of_accounts(strategy):
    """Accounts that some calls tell apart are equal to those that do not."""
    others = [account(f"b{n}", groups=("g",)) for n in range(3)]
    load = Load(strategy, *(account(f"a{n}") for n in range(9)), *others)
    assert even(load.calls(1_200), 100)


def test_a_rotation_is_even_whatever_comes_and_goes():
    """For all accounts that were there all the time: full, resting, new and gone ones aside."""
    staying = [account(f"a{n}", concurrency_max=1 + n % 3) for n in range(10)]
    coming = [account(f"b{n}") for n in range(5)]
    load = Load(Strategy.ROUND_ROBIN, *staying, in_flight=6)
    taken: Counter[str] = Counter()
    for number in range(200):
        there = [*staying, *(one for n, one in enumerate(coming) if (number + n) % 3)]
        load.pool.apply(there, now=load.now)
        taken += load.calls(15)
        load.pool.put(replace(coming[0], email=f"{number}@example.com"), now=load.now)
    shares = Counter({one.id: taken[one.id] for one in staying})
    assert even(shares, shares.total() / 10), shares


@pytest.mark.parametrize("strategy", [Strategy.BALANCED, Strategy.ROUND_ROBIN])
def test_an_account_that_rests_gets_nothing_and_then_its_share(strategy):
    """Without a storm when it comes back."""
    load = Load(strategy, *(account(f"a{n}") for n in range(5)), in_flight=1)
    lease = load.pool.lease(call(), excluding=NOBODY, now=load.now)
    load.pool.settle(lease, RateLimited(NOW + 60), now=load.now)
    rested = lease.account.id
    assert load.calls(100)[rested] == 0
    load.now += 100
    after = load.calls(500)
    assert even(after, 100), after


def test_remaining_quota_follows_headroom():
    """Each account gets calls in proportion to what it has left, and all run dry together."""
    load = Load(Strategy.REMAINING_QUOTA, *(account(name) for name in "abcd"))
    left = {"a": 80, "b": 40, "c": 20, "d": 60}
    for name, percent in left.items():
        load.hear(name, 100 - percent)
    taken = load.calls(900, costs=0.2)
    for name, percent in left.items():
        # To the three percent of a window that as many calls in flight count for.
        assert taken[name] == pytest.approx(900 * percent / 200, abs=15)
    assert max(load.used.values()) - min(load.used.values()) <= 3


def test_least_used_catches_up():
    """Who has spent less goes first until all have spent the same."""
    load = Load(Strategy.LEAST_USED, account("a"), account("b"), in_flight=1)
    load.pool.apply([account("a")], now=NOW)
    load.calls(100)
    load.pool.apply([account("a"), account("b")], now=NOW)
    assert load.calls(100) == {"b": 100}
    assert even(load.calls(100), 50)


def test_fill_first_spills_over_only_when_it_must():
    """One account after the other, in the operator's order."""
    accounts = [account(name, concurrency_max=2) for name in "abc"]
    load = Load(Strategy.FILL_FIRST, *accounts, in_flight=99)
    assert [load.calls(2), load.calls(2), load.calls(1)] == [{"a": 2}, {"b": 2}, {"c": 1}]
    load.end(Succeeded(0.5))
    assert load.calls(1) == {"a": 1}


@pytest.mark.parametrize("strategy", Strategy)
def test_a_lower_priority_gets_what_the_higher_ones_can_not_take(strategy):
    """And not one call more."""
    high = [account(f"h{n}", priority=1, concurrency_max=3) for n in range(2)]
    load = Load(strategy, account("low"), *high, in_flight=4)
    assert load.calls(200)["low"] == 0
    load.in_flight = 99
    taken = load.calls(9)
    assert taken["low"] == 9 - (6 - 3)


@pytest.mark.parametrize(("in_flight", "error"), [(32, 0.3), (62, 0.1)])
def test_balanced_weighs_accounts_by_their_places(in_flight, error):
    """Who may have more calls gets more of them, the more exactly the busier the pool is."""
    caps = {"a": 8, "b": 16, "c": 32, "d": 8}
    accounts = [account(name, concurrency_max=cap) for name, cap in caps.items()]
    load = Load(Strategy.BALANCED, *accounts, in_flight=in_flight)
    taken = load.calls(6_400)
    for name, cap in caps.items():
        assert taken[name] == pytest.approx(6_400 * cap / 64, rel=error)


@pytest.mark.parametrize("strategy", Strategy)
def test_no_account_gets_more_than_its_places(strategy):
    """And every place is used before a call is refused."""
    accounts = [account(f"a{n}", concurrency_max=n) for n in range(1, 6)]
    load = Load(strategy, *accounts, in_flight=99)
    assert load.calls(15) == {f"a{n}": n for n in range(1, 6)}
    assert not isinstance(load.pool.lease(call(), excluding=NOBODY, now=load.now), Lease)


def test_balanced_steps_away_from_what_is_slow_or_nearly_used_up():
    """Long before it rests."""
    load = Load(Strategy.BALANCED, *(account(f"a{n}") for n in range(10)))
    load.hear("a0", 97.0)
    slow = next(state for state in load.pool.states if state.account.id == "a1")
    slow.wait_s, slow.wait_mean_s, slow.wait_at = 20.0, 20.0, NOW
    taken = load.calls(1_000)
    assert taken["a0"] < 40
    assert taken["a1"] < 40
    assert all(state.health is Health.READY for state in load.pool.states)
