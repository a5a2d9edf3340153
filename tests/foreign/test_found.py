"""Tests of app.foreign.found."""

import pytest

from app.accounts.new_account import Unusable
from app.errors import InvalidRequest
from app.foreign.found import BadValue, Found, Remark


@pytest.mark.parametrize("error", [BadValue("why"), Unusable("why"), InvalidRequest("why")])
def test_a_bad_row_is_noted_and_the_next_one_is_read(error: Exception) -> None:
    """With its place and the reason."""
    found = Found()
    with found.judging("accounts 1", "a\nname"):
        raise error
    found.note("accounts 2", "b", "something")
    assert found.remarks == [
        Remark("accounts 1", "a name", "why", taken=False),
        Remark("accounts 2", "b", "something", taken=True),
    ]


def test_a_fault_of_ours_is_not_a_remark() -> None:
    """It comes through."""
    with pytest.raises(KeyError), Found().judging("accounts 1", "a"):
        raise KeyError
