"""Seconds without Postgres are not felt by callers, and leave no gap in the books."""

import pytest

from loadtests.outages.postgres import NOTICED_S, run
from tests.servers import program


@pytest.mark.slow
@pytest.mark.skipif(program("postgres") is None, reason="Postgres is not installed")
def test_calls_go_on_without_postgres(tmp_path):
    """How fast they go is for the command to say, on a machine that is not shared."""
    found = run(tmp_path, seconds=NOTICED_S + 4)
    assert found.faults == []
    assert min(found.calls, found.judged, found.audit.whole) > 0
