"""What is known of one account."""

from app.pool.state import AccountState
from tests.fakes.accounts import account


def test_an_account_is_full_at_its_own_limit():
    """Or above it, if an operator has lowered it since."""
    state = AccountState(account(concurrency_max=2))
    assert not state.full
    state.in_flight = 2
    assert state.full
    state.in_flight = 3
    assert state.full
