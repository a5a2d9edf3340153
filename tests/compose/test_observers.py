"""Tests of app.compose.observers."""

from unittest.mock import Mock, call

import pytest

from app.compose.observers import Observers
from app.domain.outcome import Abandoned, Outcome, Succeeded, Unauthorized
from tests.fakes import accounts


@pytest.mark.parametrize(
    ("name", "told"),
    [("leased", 3), ("refused", 3), ("began", 2), ("attempt", 4)],
)
def test_both_are_told_the_first_one_first(name, told):
    """All that there is to tell."""
    order = Mock()
    values = tuple(range(told))
    getattr(Observers(order.first, order.second, renew=order.renew), name)(*values)
    assert order.mock_calls == [
        getattr(call.first, name)(*values),
        getattr(call.second, name)(*values),
    ]


@pytest.mark.parametrize(
    ("outcome", "urged"),
    [
        (Unauthorized(dead=False, reason="expired"), True),
        (Unauthorized(dead=True, reason="deactivated"), False),
        (Succeeded(0.1), False),
        (Abandoned(), False),
    ],
)
def test_a_refused_credential_is_renewed_whatever_becomes_of_the_call(
    outcome: Outcome, urged: bool
) -> None:
    """One that stays refused is not: a new one would be refused as well."""
    renew = Mock()
    observers = Observers(Mock(), Mock(), renew=renew)
    observers.attempt(accounts.call(), accounts.account("a", generation=3), outcome, None)
    assert renew.mock_calls == ([call("a", 3)] if urged else [])
