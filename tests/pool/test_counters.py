"""Counters are absolute, and only what changed is gone through."""

from app.domain.account import AccountId
from app.pool.counters import AccountCount, Changes, WindowCount
from app.pool.state import AccountState, Gauge
from tests.fakes.accounts import account


def state(name: str, **changes) -> AccountState:
    """Return the state of an account of this name."""
    return AccountState(account(name), **changes)


def names(changes: Changes, *, since: int = 0) -> list[str]:
    """Return the ids of what changed."""
    counters = changes.counters(incarnation="p1", since=since)
    return [count.account_id for count in counters.accounts]


def test_what_is_told_is_what_the_account_counted():
    """Every number of the state, and the tokens of each of its windows."""
    changes = Changes()
    gauge = Gauge(used_ratio=0.5, reset_at=900.0, seen_at=5.0, began_at=1.0, tokens=70, requests=3)
    changes.touch(
        state(
            "a", in_flight=1, requests=4, successes=2, failures=1, tokens=80, last_used_at=7.0,
            windows={("codex", 300): gauge},
        )
    )  # fmt: skip
    told = changes.counters(incarnation="p1")
    assert told.incarnation == "p1"
    assert told.accounts == (
        AccountCount(
            account_id=AccountId("a"), in_flight=1, requests=4, successes=2, failures=1, tokens=80,
            windows=(WindowCount("codex", 300, 900.0, 70, 3),), last_used_at=7.0,
        ),
    )  # fmt: skip


def test_only_what_changed_since_is_told_again():
    """The number of one answer is the question of the next."""
    changes = Changes()
    a, b = state("a"), state("b")
    changes.touch(a)
    changes.touch(b)
    number = changes.counters(incarnation="p1").number
    assert names(changes) == ["b", "a"]
    assert names(changes, since=number) == []
    changes.touch(a)
    assert names(changes, since=number) == ["a"]
    assert names(changes) == ["a", "b"]


def test_values_are_absolute_and_of_now():
    """What was said before is replaced, not added to."""
    changes = Changes()
    a = state("a", requests=1)
    changes.touch(a)
    a.requests = 2
    changes.touch(a)
    assert [count.requests for count in changes.counters(incarnation="p1").accounts] == [2]


def test_an_account_that_is_gone_is_told_no_more():
    """Neither is one that was never there."""
    changes = Changes()
    changes.touch(state("a"))
    changes.touch(state("b"))
    changes.forget(AccountId("a"))
    changes.forget(AccountId("never"))
    assert names(changes) == ["b"]


def test_a_quiet_pool_costs_nothing():
    """Of a thousand accounts, those that did not change are not looked at."""
    changes = Changes()
    states = [state(f"a{number}") for number in range(1_000)]
    for each in states:
        changes.touch(each)
    number = changes.counters(incarnation="p1").number
    for each in states[:-1]:
        each.windows = None  # type: ignore[assignment]  # looking at it would fail
    changes.touch(states[-1])
    assert names(changes, since=number) == ["a999"]
