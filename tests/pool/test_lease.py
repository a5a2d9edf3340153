"""Tests of app.pool.lease."""

from app.pool.lease import Lease, NotBefore
from tests.fakes.accounts import account


def test_both_are_values():
    """Equal if they say the same, and nobody changes them."""
    assert Lease(account(), 1) == Lease(account(), 1, "")
    assert NotBefore(None, busy=True) != NotBefore(None, busy=False)
