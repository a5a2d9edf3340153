"""What accounts may spend where nobody said."""

import pytest

from app.simulation.defaults import assumed, windows
from app.simulation.plan import Accounts, Window


def test_windows_that_are_written_down_count():
    """Even if they are none at all."""
    own = (Window(minutes=60, requests=5),)
    assert windows(Accounts(plan="pro", windows=own)) == own
    assert windows(Accounts(windows=())) == ()


@pytest.mark.parametrize("plan", ["free", "plus", "team", "pro", "enterprise", "unheard-of", None])
def test_every_plan_has_windows(plan):
    """One that nobody knows is taken for a paid one."""
    assert windows(Accounts(plan=plan))


def test_larger_plans_may_spend_more_in_every_window():
    """The proportions are what the assumption is good for."""
    go, plus, prolite, pro = (
        [window.tokens for window in windows(Accounts(plan=plan))]
        for plan in ("go", "plus", "prolite", "pro")
    )
    assert go < plus < prolite < pro


def test_what_was_assumed_is_told_once_for_each_plan():
    """The report names them."""
    batches = (
        Accounts(plan="pro"),
        Accounts(plan="pro", priority=1),
        Accounts(plan=None),
        Accounts(plan="plus", windows=()),
    )
    assert assumed(batches) == ("pro", "unknown")
