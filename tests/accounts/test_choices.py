"""Tests of app.accounts.choices."""

import pytest

from app.accounts.choices import choices

GOOD = {
    "enabled": False, "priority": -3, "concurrency_max": 4, "pause_at": 0.5,
    "groups": ["b", "a"], "tags": ["t"], "models": ["gpt-5.5"],
}  # fmt: skip


def test_what_an_operator_has_decided_is_read() -> None:
    """As the store takes it: lists are tuples, names in order."""
    assert choices(GOOD) == GOOD | {
        "groups": ("a", "b"), "tags": ("t",), "models": ("gpt-5.5",),
    }  # fmt: skip
    assert choices({"pause_at": 1, "name": "x"}) == {"pause_at": 1.0}


@pytest.mark.parametrize(("name", "value"), [
    ("enabled", True), ("enabled", 0), ("enabled", None), ("priority", "1"), ("priority", True),
    ("priority", 10**9), ("concurrency_max", 0), ("concurrency_max", 1.5), ("pause_at", 0),
    ("pause_at", 1.1), ("pause_at", True), ("pause_at", "x"), ("groups", "a"), ("groups", [1]),
    ("groups", ["a,b"]), ("groups", [""]), ("groups", ["x"] * 2 + [str(n) for n in range(99)]),
    ("tags", {"a": 1}), ("models", ["m" * 129]), ("models", [None]), ("models", ["m"] * 1_001),
])  # fmt: skip
def test_what_does_not_fit_is_passed_over(name, value) -> None:
    """It is another program's, or the default anyway; the account is taken all the same."""
    assert choices({name: value}) == {}
