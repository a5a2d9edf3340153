"""Tests of app.edge.manners."""

import pytest

from app.domain.call import Dialect
from app.edge.manners import COMMENT, manners_of


@pytest.mark.parametrize("dialect", Dialect)
def test_every_dialect_has_its_ways(dialect) -> None:
    """All name the request, and none is silent; only Anthropic's clients know pings."""
    manners = manners_of(dialect)
    assert "x-request-id" in [name.decode() for name in manners.request_id_headers]
    assert manners.silence.endswith(b"\n\n")
    assert (manners.silence != COMMENT) == (dialect is Dialect.MESSAGES)
