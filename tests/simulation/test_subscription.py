"""What an account may spend, as its upstream keeps it."""

from random import Random

import pytest

from app.domain.quota import QuotaWindow
from app.simulation.plan import Window
from app.simulation.subscription import Subscription
from app.simulation.timeline import EPOCH


def subscription(*windows):
    """Return one that opens at the start."""
    return Subscription(windows, at=0.0, rng=Random(1))


HOUR = Window(minutes=60, tokens=1_000, first_reset_minutes=30)
DAY = Window(minutes=1_440, requests=3, first_reset_minutes=0)


def test_a_window_is_full_until_it_resets_and_then_empty():
    """The first reset is where the plan has it; then they follow by their length."""
    one = subscription(HOUR)
    one.spend(999, family="codex", at=0.0)
    assert one.limited_until("codex", at=1.0) == ()
    one.spend(1, family="codex", at=2.0)
    assert one.limited_until("codex", at=3.0) == (1_800.0,)
    assert one.limited_until("codex", at=1_800.0) == ()
    one.spend(2_000, family="codex", at=1_900.0)
    assert one.limited_until("codex", at=2_000.0) == (5_400.0,)
    assert one.limited_until("codex", at=5_400.0 + 10 * 3_600.0 - 1) == ()


def test_two_full_windows_have_two_resets():
    """A window may count calls instead of tokens; it resets a whole length after the start."""
    one = subscription(HOUR, DAY)
    one.spend(1_500, family="codex", at=0.0)
    for _ in range(3):
        assert one.limited_until("codex", at=0.0) == (1_800.0,)
        one.admit(family="codex", at=0.0)
    assert one.limited_until("codex", at=1.0) == (1_800.0, 86_400.0)
    assert one.used_share(at=1.0) == 1.0


def test_windows_of_other_families_are_their_own():
    """A model that is metered apart neither uses nor sees the others' window."""
    spark = Window(minutes=60, tokens=10, family="spark", first_reset_minutes=60)
    one = subscription(HOUR, spark)
    one.spend(10, family="spark", at=0.0)
    assert one.limited_until("codex", at=1.0) == ()
    assert one.limited_until("spark", at=1.0) == (3_600.0,)
    assert one.used_share(at=1.0) == 0.0
    main = QuotaWindow("codex", 60, 0.0, EPOCH + 1_800.0)
    assert one.view("codex", at=1.0).windows == (main,)
    assert one.view("spark", at=1.0).windows == (
        main,
        QuotaWindow("spark", 60, 1.0, EPOCH + 3_600.0),
    )


def test_a_first_reset_that_nobody_named_is_drawn():
    """Accounts do not all reset at once, and none resets at once."""
    window = Window(minutes=60, tokens=1)
    rng = Random(2)
    resets = {Subscription((window,), at=7.0, rng=rng).gauges[0].resets_at for _ in range(50)}
    assert len(resets) == 50
    assert all(7.0 < at <= 3_607.0 for at in resets)


@pytest.mark.parametrize(
    ("windows", "hours", "tokens"),
    [
        ((HOUR,), 0.5, 1_000),
        ((HOUR,), 1.5, 2_000),
        ((HOUR,), 1.6, 3_000),
        ((HOUR, DAY), 1.5, 2_000),
        ((HOUR, Window(minutes=10_080, tokens=1_500, first_reset_minutes=0)), 9, 1_500),
        ((DAY,), 9, None),
        ((), 9, None),
    ],
)
def test_the_capacity_is_what_the_tightest_windows_let_through(windows, hours, tokens):
    """A window that began before the start counts whole; calls are no tokens."""
    assert subscription(*windows).capacity(hours * 3_600.0) == tokens


def test_an_access_token_opens_until_its_end_or_until_it_is_taken_back():
    """Each generation has its own end."""
    one = subscription()
    one.expires_at = {0: 10.0, 1: None}
    assert one.opens(0, at=9.0)
    assert not one.opens(0, at=10.0)
    assert one.opens(1, at=1e9)
    one.refused_up_to = 1
    assert not one.opens(1, at=0.0)
