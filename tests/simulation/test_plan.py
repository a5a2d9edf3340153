"""A plan is read as a whole, and what is wrong with it is said with the field's name."""

import pytest

from app.domain.runtime import Strategy
from app.simulation.plan import (
    PLAN_BYTES_MAX,
    Accounts,
    Curve,
    Leave,
    Plan,
    PlanError,
    Step,
    Window,
    changed,
    decode,
)

FULL = b"""
seed = 7
hours = 12
[[accounts]]
count = 3
plan = "pro"
concurrency_max = 4
windows = [{ minutes = 300, tokens = 1000 }, { minutes = 10080, requests = 50 }]
[[accounts]]
[load]
calls_per_minute = 10
curve = "business_day"
bursts = [{ at_hour = 9.5, minutes = 10, factor = 5 }]
[faults]
storms = [{ at_hour = 3, minutes = 5 }]
[[changes]]
kind = "clock_step"
at_hour = 2
seconds = -3600
[[changes]]
kind = "remove_accounts"
at_hour = 1
[gateway]
strategy = "fill_first"
"""


def test_a_plan_in_toml_is_read_whole():
    """Every part may stand in it, and what doesn't has a default."""
    plan = decode(FULL)
    windows = (Window(minutes=300, tokens=1000), Window(minutes=10080, requests=50))
    pro = Accounts(count=3, plan="pro", concurrency_max=4, windows=windows)
    assert plan.accounts == (pro, Accounts())
    assert plan.load.curve is Curve.BUSINESS_DAY
    assert plan.changes == (Step(at_hour=2, seconds=-3600), Leave(at_hour=1))
    assert plan.gateway.strategy is Strategy.FILL_FIRST
    assert (plan.seed, plan.hours) == (7, 12)


def test_a_plan_may_be_json():
    """The name of the file decides."""
    assert decode(b'{"accounts": [{}], "seed": 3}', name="p.json") == Plan(
        accounts=(Accounts(),), seed=3
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accounts = []", "accounts: Expected `array` of length >= 1"),
        ("[[accounts]]\ncount = 0", "accounts[0].count: Expected `int` >= 1"),
        ("[[accounts]]\ncuont = 1", "accounts[0]: Object contains unknown field `cuont`"),
        ("hours = 1", "plan: Object missing required field `accounts`"),
        ("[[accounts]]\n[load]\ncurve = 'flat'", "load.curve: Invalid enum value 'flat'"),
        ("[[accounts]]\n[[changes]]\nkind = 'x'", "changes[0].kind: Invalid value 'x'"),
        ("[[accounts]\n", "It can't be read: Expected ']]'"),
        ("[[accounts]]\nwindows = [{ minutes = 5 }]", "accounts[0].windows[0]: expected either"),
        (
            "[[accounts]]\nwindows = [{ minutes = 5, tokens = 1 }, { minutes = 5, requests = 1 }]",
            "accounts[0].windows[1]: there is one",
        ),
        (
            "[[accounts]]\n[[changes]]\nkind='add_accounts'\nat_hour=1\naccounts={windows=[{minutes=5}]}",
            "changes[0].accounts.windows[0]: expected either",
        ),
        ("[[accounts]]\ncount = 50000\n[[accounts]]\n", "accounts: 50001 in all; at most 50000"),
        ("[[accounts]]\n[load]\nmodels = []", "load.models: expected at least one"),
        (
            "[[accounts]]\n[load]\nkeys = [{ name = 'a' }, { name = 'a' }]",
            "load.keys: expected at least one, each with a name of its own",
        ),
    ],
)
def test_a_bad_plan_is_told_with_its_field(text, words):
    """Whoever wrote it finds the place at once."""
    with pytest.raises(PlanError) as caught:
        decode(text.encode())
    assert words in str(caught.value)


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"a = " + b"[" * 100_000])
def test_what_is_no_text_is_a_bad_plan(raw):
    """Whatever the reader stumbles over, it says so in a sentence."""
    with pytest.raises(PlanError, match="can't be read"):
        decode(raw)


def test_a_plan_has_a_largest_size():
    """A wrong file is refused before it is read."""
    with pytest.raises(PlanError, match="bytes"):
        decode(b"#" * (PLAN_BYTES_MAX + 1))


def test_a_change_is_checked_like_a_file():
    """An option of the command line can't make a plan that a file could not."""
    plan = decode(FULL)
    assert changed(plan, hours=3.0).hours == 3.0
    with pytest.raises(PlanError, match="hours: Expected `float` > 0"):
        changed(plan, hours=0.0)
