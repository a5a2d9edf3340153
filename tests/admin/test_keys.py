"""Tests of app.admin.keys; the way through HTTP is gone in `tests/edge/admin/test_keys.py`."""

import pytest

from app.admin.keys import KeyDesk, NoSuchKey
from app.domain.caller import Allowance, Caller, KeyId
from app.domain.enrolment import StoredKey
from app.domain.report import Dimension, Totals
from app.domain.usage import Usage
from tests.fakes.clock import FakeClock


class Rows:
    """One key, and what it has spent."""

    def __init__(self) -> None:
        caller = Caller(KeyId("k"), "name", allowance=Allowance(day_nusd=2_000_000_000))
        self.key = StoredKey(caller, b"", "tail", 1.0)

    async def list(self, *, revoked: bool = False) -> list[StoredKey]:
        """Return it."""
        del revoked
        return [self.key]

    async def revoke(self, key_id: KeyId, *, at: float) -> bool:
        """Never there."""
        del key_id, at
        return False

    async def since(self, dimension, ids, *, start: float):
        """Return its sums of today."""
        assert (dimension, start % 86_400) == (Dimension.CALLER, 0)
        return {
            each: Totals(requests=3, usage=Usage(1, 0, 0, 2, 0), cost_nusd=10**9) for each in ids
        }


async def test_a_row_has_limits_and_spending_in_dollars():
    """As people count."""
    rows = Rows()

    async def reload() -> None:
        raise AssertionError

    desk = KeyDesk(rows=rows, reports=rows, clock=FakeClock(), reload=reload)
    row = await desk.row(KeyId("k"))
    assert (row.day_budget_usd, row.month_budget_usd, row.cost_today_usd) == (2.0, None, 1.0)
    assert (row.requests_today, row.tokens_today) == (3, 3)
    assert await desk.page("NAM", revoked=False, offset=0, limit=5) == ([row], 1)
    assert await desk.page("other", revoked=False, offset=0, limit=5) == ([], 0)
    with pytest.raises(NoSuchKey):
        await desk.row(KeyId("gone"))
    with pytest.raises(NoSuchKey):
        await desk.revoke(KeyId("k"))
