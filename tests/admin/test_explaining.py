"""Tests of app.admin.explaining."""

from types import MappingProxyType

import pytest

from app.admin.explaining import Explainer
from app.domain.report import Detail, Page, Wanted
from app.domain.runtime import Explain
from app.errors import CallerError
from app.pool.explanation import Explanations
from app.pool.policy import Policy
from tests.fakes.accounts import call
from tests.store.calls import ATTEMPT, REQUEST


class Requests:
    """The log of one request."""

    async def page(self, wanted: Wanted, *, after=None, limit: int = 50) -> Page:
        """Return it, if it has that id."""
        del after, limit
        return Page([REQUEST] if wanted.request_id == REQUEST.request_id else [], None)

    async def request(self, uid: str) -> Detail:
        """Return it with its attempt."""
        assert uid == REQUEST.uid
        return Detail(REQUEST, [ATTEMPT])

    async def attempts(self, account_id: str, *, limit: int = 50):
        """Never asked."""
        raise AssertionError(account_id, limit)


class Pool:
    """A pool without accounts."""

    states = ()
    policy = Policy()
    families = MappingProxyType({})


async def test_what_the_pool_and_the_books_know_is_put_together():
    """Either alone is something; neither is told."""
    explanations = Explanations(mode=Explain.ALL)
    explainer = Explainer(explanations=explanations, requests=Requests())
    explanations.refused(
        Pool(), call(id="req-x"), excluding=frozenset(), code="pool_empty", now=1.0
    )
    refused = await explainer.find("req-x")
    assert [each.code for each in refused.decisions] == ["pool_empty"]
    assert refused.requests == []
    answered = await explainer.find(REQUEST.request_id)
    assert answered.decisions == []
    assert answered.requests[0].attempts == [ATTEMPT]
    assert [each.request_id for each in await explainer.recent(5)] == ["req-x"]
    with pytest.raises(CallerError) as caught:
        await explainer.find("unknown")
    assert caught.value.status == 404
