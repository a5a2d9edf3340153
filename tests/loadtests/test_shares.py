"""How three processes share accounts: the reckoning, and a short run of the real thing."""

from math import inf

import pytest

from loadtests import shares
from loadtests.shares import CAP, PLACES, Call, Result, calls, full_again_s, most_at_a_time, taken


def test_only_calls_of_models_are_reckoned():
    """And of those only what an account was asked."""
    record = {"path": "/codex/responses", "account": "a", "began_ns": 10**9, "ended_ns": 3 * 10**9}
    others = [record | {"path": "/wham/usage"}, record | {"account": None}]
    assert calls([record, *others]) == [Call("a", 1.0, 3.0)]


def test_who_ends_makes_room_for_who_begins():
    """Accounts are reckoned by themselves."""
    found = [Call("a", 0.0, 1.0), Call("a", 1.0, 2.0), Call("b", 0.0, 2.0), Call("a", 1.5, 3.0)]
    assert most_at_a_time(found) == 2


def test_places_are_taken_for_as_long_as_calls_last_within_the_time():
    """What lies outside does not count."""
    found = [Call("a", -5.0, 1.0)] * (PLACES // 2) + [Call("b", 1.5, 9.0)] * (PLACES // 2)
    assert taken(found, 0.0, 2.0) == pytest.approx(0.375)


def test_full_again_is_when_nearly_all_are_taken_after_they_were_not():
    """Places that were still taken at that moment are no proof."""
    before = [Call("a", 0.0, 10.0)] * PLACES
    after = [Call("a", 12.5, 20.0)] * PLACES
    assert full_again_s(before + after, 9.0) == pytest.approx(3.5)
    assert full_again_s(before, 9.0) == inf


@pytest.mark.parametrize(
    ("result", "good"),
    [
        (Result(8, 0.95, 3.0, 0), True),
        (Result(9, 0.99, 1.0, 0), False),
        (Result(8, 0.94, 1.0, 0), False),
        (Result(8, 0.99, 3.1, 0), False),
        (Result(8, 0.99, 1.0, 1), False),
    ],
)
def test_each_promise_counts(result, good):
    """One broken promise is enough."""
    assert result.good is good


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_three_processes_never_exceed_a_cap_and_outlive_one_of_them(tmp_path, monkeypatch):
    """How well and how soon is measured by the command, on a machine that is quiet.

    However slow it is, calls that wait fill an account to its cap, and never beyond.
    """
    monkeypatch.setattr(shares, "WARM_S", 3.0)
    tmp_path.chmod(0o755)
    found = shares.run(tmp_path, seconds=3.0)
    assert found.most == CAP
    assert found.failed == 0
    assert found.back_s < shares.AFTER_S
