"""Why a request went where it did: what the pool explained of it, and what the books say."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from app.admin.rows import RequestRows
from app.domain.ledger import AttemptRow, RequestRow
from app.domain.report import Wanted
from app.errors import CallerError
from app.pool.explanation import Explanation, Explanations

REQUESTS_MAX = 10
"""Callers may use an id again."""


class Answered(Struct, frozen=True):
    """A request as it was answered, and its attempts."""

    request: RequestRow
    attempts: list[AttemptRow]


class Explained(Struct, frozen=True):
    """All that is known of the requests with an id."""

    request_id: str
    decisions: list[Explanation]
    """One for each choice of an account or refusal, the latest last; kept in memory by the worker
    that made it, for the last thousand. The others are asked as well."""
    requests: list[Answered]
    """From the books, which are a moment behind."""


class Elsewhere(Protocol):
    """What other workers have explained; nothing, if they can't be asked."""

    async def find(self, call_id: str) -> Sequence[Explanation]:
        """Return what they explained of a call."""

    async def recent(self, count: int) -> Sequence[Explanation]:
        """Return the latest that each of them explained."""


class Explainer:
    """Looks in both, here and elsewhere."""

    def __init__(
        self,
        *,
        explanations: Explanations,
        requests: RequestRows,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._explanations = explanations
        self._requests = requests
        self._elsewhere = elsewhere

    async def recent(self, count: int) -> list[Explained]:
        """Return the latest decisions, the latest first, one each."""
        found = list(self._explanations.recent(count))
        if self._elsewhere is not None:
            found += await self._elsewhere.recent(count)
            found.sort(key=_moment, reverse=True)
        return [Explained(each.call_id, [each], []) for each in found[:count]]

    async def find(self, request_id: str) -> Explained:
        """Return what is known of a request.

        Raises:
            CallerError: Nothing is.
        """
        page = await self._requests.page(Wanted(request_id=request_id), limit=REQUESTS_MAX)
        found = [await self._requests.request(each.uid) for each in page.requests]
        answered = [Answered(each.request, each.attempts) for each in found if each is not None]
        decisions = list(self._explanations.find(request_id))
        if self._elsewhere is not None:
            decisions += await self._elsewhere.find(request_id)
            decisions.sort(key=_moment)
        if not answered and not decisions:
            raise CallerError(
                "Nothing is known of this request: it is too long ago, was never here, or has not "
                "reached the books yet.",
                status=404,
                code="not_found",
                param="request_id",
            )
        return Explained(request_id, decisions, answered)


def _moment(decision: Explanation) -> float:
    return decision.at
