"""Bugs planted into the production code, one of a kind: the simulation finds each of them.

Without this nobody would know whether the days that go well are watched by anybody. A bug may hide
on some days; on four hundred it must not.
"""

import pytest
from msgspec.structs import replace

from app.domain.outcome import Abandoned, Succeeded
from app.pool import concurrency, health, quota
from app.pool.pool import AccountPool
from app.pool.shelf import Stance
from app.pool.shelves import Shelves
from app.pool.state import AccountState, Health
from app.relay.verdict import TryAnother
from app.simulation.engine import Simulation
from app.simulation.violation import Violation
from tests.simulation.days import day

SEEDS_MAX = 400


def found():
    """Return the invariants that are broken on the first days, and fail if none is."""
    broken = []
    for seed in range(SEEDS_MAX):
        try:
            Simulation(day(seed)).run()
        except Violation as violation:
            broken.append(violation.invariant)
            if len(broken) == 2:
                break
    assert broken, f"nobody noticed in {SEEDS_MAX} days"
    return set(broken)


def test_without_a_bug_nothing_is_found():
    """What the other tests here find is what they planted."""
    for seed in range(20):
        Simulation(day(seed)).run()


def test_a_late_success_that_wakes_a_cooling_account_is_found(monkeypatch):
    """A call from before the limit ends well, and the account is asked before its reset."""
    after = health.after

    def bug(state, outcome, **known):
        after(state, outcome, **known)
        if isinstance(outcome, Succeeded) and state.health is Health.COOLING:
            state.health = Health.READY

    monkeypatch.setattr(health, "after", bug)
    assert found() <= {"I9", "R"}


def test_a_late_success_that_ends_the_rest_itself_is_found(monkeypatch):
    """The rest is not only ignored but forgotten."""
    after = health.after

    def bug(state, outcome, **known):
        after(state, outcome, **known)
        if isinstance(outcome, Succeeded):
            state.ready_at = 0.0

    monkeypatch.setattr(health, "after", bug)
    assert found() <= {"R"}


def test_a_cooldown_that_shrinks_is_found(monkeypatch):
    """The last refusal counts instead of the longest."""

    def bug(state, until, reason):
        state.ready_at = until
        health._cool(state, reason)

    monkeypatch.setattr(health, "_rest", bug)
    assert found() <= {"R", "I9"}


def test_a_cooldown_of_a_model_that_shrinks_is_found(monkeypatch):
    """The same for one model."""

    def bug(state, model, until, *, now):
        del now
        state.model_ready_at[model] = until

    monkeypatch.setattr(health, "_rest_model", bug)
    assert found() <= {"R", "I9"}


def test_a_lease_that_leaks_is_found(monkeypatch):
    """Where the caller left, nobody settles."""
    settle = AccountPool.settle

    def bug(self, lease, outcome, *, now):
        if not isinstance(outcome, Abandoned):
            settle(self, lease, outcome, now=now)

    monkeypatch.setattr(AccountPool, "settle", bug)
    assert found() == {"I6"}


def test_a_limit_of_calls_that_is_off_by_one_is_found(monkeypatch):
    """One call more than the operator allowed."""
    cap = AccountState.cap.fget
    monkeypatch.setattr(AccountState, "cap", property(lambda state: cap(state) + 1))
    assert found() <= {"I7", "I9"}


def test_a_slow_start_that_forgets_the_limit_is_found(monkeypatch):
    """The window grows past what the operator allowed, once the bound is gone."""
    monkeypatch.setattr(concurrency, "_bound", lambda _state: 1_000.0)
    monkeypatch.setattr(AccountState, "cap", property(lambda state: int(state.window)))
    assert found() <= {"I7", "I9"}


def test_an_affinity_that_ignores_rests_is_found(monkeypatch):
    """The session's account is asked although it rests, or is full, or is gone for it."""
    can = AccountPool._can

    def bug(self, account_id, demand, excluding):
        place = self._shelves.places.get(account_id)
        return can(self, account_id, demand, excluding) or (
            place is not None and place.shelf in demand.shelves and account_id not in excluding
        )

    monkeypatch.setattr(AccountPool, "_can", bug)
    assert found() <= {"I9", "I7"}


def test_an_affinity_that_ignores_who_was_tried_is_found(monkeypatch):
    """The account that has just failed gets the call again."""
    can = AccountPool._can
    monkeypatch.setattr(
        AccountPool, "_can", lambda self, name, demand, _: can(self, name, demand, frozenset())
    )
    assert found() == {"A"}


def test_a_trial_that_never_ends_is_found(monkeypatch):
    """The upstream has taken the call, and the account stays at one call at a time."""
    monkeypatch.setattr(health, "began", lambda _, **__: None)
    assert found() == {"R"}


def test_a_return_without_a_trial_is_found(monkeypatch):
    """At its reset an account is asked by as many as wait for it."""

    def bug(state, *, now):
        if state.health is not Health.COOLING or state.rests_until > now:
            return False
        state.health = Health.READY
        return True

    monkeypatch.setattr(health, "wake", bug)
    assert found() <= {"I9"}


def test_a_rest_that_never_ends_is_found(monkeypatch):
    """Somebody waits although the account could take the call."""
    monkeypatch.setattr(health, "wake", lambda _, **__: False)
    assert found() == {"S"}


def test_a_full_quota_that_is_not_heeded_is_found(monkeypatch):
    """The headers said that it is used up, and the account is asked."""
    monkeypatch.setattr(quota, "paused", lambda _, **__: None)
    assert found() == {"I9"}


def test_a_freed_place_that_nobody_hears_of_is_found(monkeypatch):
    """An account that was full is not filed again when a call ends."""
    file = Shelves.file

    def bug(self, place, *, now):
        if place.stance is not Stance.FULL:
            file(self, place, now=now)

    monkeypatch.setattr(Shelves, "file", bug)
    assert found() <= {"S", "I9"}


def test_a_call_that_is_tried_too_often_is_found(monkeypatch):
    """The verdict never gives up."""
    monkeypatch.setattr("app.simulation.engine.judge", lambda *_, **__: TryAnother())
    assert found() == {"I8"}


@pytest.mark.parametrize("name", ["groups", "tags"])
def test_a_call_that_goes_to_another_group_is_found(monkeypatch, name):
    """The key's binding is forgotten on the way to the pool."""
    lease = AccountPool.lease

    def bug(self, call, **known):
        return lease(self, replace(call, **{name: ()}), **known)

    monkeypatch.setattr(AccountPool, "lease", bug)
    assert found() == {"A"}
