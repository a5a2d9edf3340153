"""Tests of app.upstream.router."""

import pytest

from app.domain.account import AccountKind
from app.upstream.router import Router
from tests.fakes.accounts import account, call
from tests.fakes.upstream import Answer, FakeUpstream


@pytest.mark.parametrize("kind", AccountKind)
async def test_a_call_goes_by_the_way_of_its_accounts_kind(kind):
    """And by no other."""
    ways = {each: FakeUpstream(a=[Answer()]) for each in AccountKind}
    await Router(ways).send(account("a", kind=kind), call())
    assert [each for each, way in ways.items() if way.log] == [kind]


def test_a_kind_without_a_way_is_a_defect():
    """Found at the start and not at a call."""
    with pytest.raises(AssertionError):
        Router({AccountKind.CODEX: FakeUpstream()})
