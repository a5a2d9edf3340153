"""Tests of app.allowance.elsewhere."""

from app.allowance.budget import Period
from app.allowance.elsewhere import Elsewhere
from app.domain.caller import KeyId
from app.domain.shared import KeySpent

K = KeyId("k")
DAY, MONTH = 1_000, 500


def said(day_nusd: int, *, day_at: int = DAY) -> KeySpent:
    """Return what the others say."""
    return KeySpent(K, day_at, day_nusd, MONTH, day_nusd)


def spent(found: Elsewhere, period: Period = Period.DAY) -> int:
    """Return what was spent in the period of now."""
    return found.spent(period, began_at=DAY if period is Period.DAY else MONTH)


def test_what_the_others_say_counts_before_the_database_has_it():
    """The larger of the two is believed, as neither says too much."""
    found = Elsewhere(K)
    found.heard = said(30)
    assert spent(found) == spent(found, Period.MONTH) == 30
    found.base(Period.DAY, 20, began_at=DAY)
    assert spent(found) == 30


def test_what_only_the_database_knows_counts_too():
    """From before the others, or of a Redis that lost it; what they spend since is added."""
    found = Elsewhere(K)
    found.heard = said(10)
    found.base(Period.DAY, 100, began_at=DAY)
    assert spent(found) == 100
    found.heard = said(14)
    assert spent(found) == 104
    found.base(Period.DAY, 102, began_at=DAY)
    assert spent(found) == 104
    found.heard = said(15)
    assert spent(found) == 105


def test_a_redis_that_lost_it_makes_nothing_less():
    """The others say less than before: what the database had stays."""
    found = Elsewhere(K)
    found.heard = said(10)
    found.base(Period.DAY, 100, began_at=DAY)
    found.heard = said(0)
    assert spent(found) == 100


def test_another_day_begins_at_nothing():
    """Neither witness speaks of it yet."""
    found = Elsewhere(K)
    found.heard = said(10)
    found.base(Period.DAY, 100, began_at=DAY)
    assert found.spent(Period.DAY, began_at=2_000) == 0
    found.heard = said(3, day_at=2_000)
    assert found.spent(Period.DAY, began_at=2_000) == 3
    assert found.based
