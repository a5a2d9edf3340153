"""The choice among usable accounts: even, and never one that does not fit."""

from collections import Counter
from random import Random

import pytest

from app.pool.selection import DRAWS_MAX, choose, load
from app.pool.state import AccountState
from tests.fakes.accounts import account


def states(count: int) -> list[AccountState]:
    """Return accounts that nothing tells apart."""
    return [AccountState(account(f"a{number}")) for number in range(count)]


def test_of_nobody_nobody_is_chosen():
    """An empty pool has no answer."""
    assert choose([], turn=0, fit=lambda _: True, rng=Random(1)) is None


@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_equal_accounts_get_equal_shares(count):
    """Within a tenth, if every call takes as long as every other."""
    ready = states(count)
    taken: Counter[str] = Counter()
    running: list[AccountState] = []
    rng = Random(7)
    for turn in range(400 * count):
        chosen = choose(ready, turn=turn, fit=lambda _: True, rng=rng)
        chosen.in_flight += 1
        taken[chosen.account.id] += 1
        running.append(chosen)
        if len(running) > 3 * count:
            running.pop(rng.randrange(len(running))).in_flight -= 1
    assert len(taken) == count
    assert all(abs(n - 400) <= 40 for n in taken.values()), taken


def test_the_less_busy_of_two_goes_first():
    """Busy is measured by how many places an account has."""
    small = AccountState(account("small", concurrency_max=2), in_flight=1)
    large = AccountState(account("large", concurrency_max=100), in_flight=10)
    assert load(small) > load(large)
    rng = Random(3)
    chosen = Counter(
        choose([small, large], turn=turn, fit=lambda _: True, rng=rng).account.id
        for turn in range(400)
    )
    assert chosen["large"] > 2 * chosen["small"]


@pytest.mark.parametrize("fitting", [{"a17", "a80"}, {f"a{n}" for n in range(0, 100, 3)}], ids=len)
@pytest.mark.parametrize("seed", range(30))
def test_only_an_account_that_fits_is_chosen(seed, fitting):
    """However few they are among many, one of them is found."""
    ready = states(100)
    chosen = choose(
        ready, turn=seed, fit=lambda state: state.account.id in fitting, rng=Random(seed)
    )
    assert chosen.account.id in fitting


def test_if_none_fits_none_is_chosen():
    """Every one of them has been asked."""
    asked = []
    assert choose(states(20), turn=0, fit=asked.append, rng=Random(1)) is None
    assert len({id(state) for state in asked}) == 20
    assert len(asked) == 20 + 2 + DRAWS_MAX
