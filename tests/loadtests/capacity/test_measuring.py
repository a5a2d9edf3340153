"""The measuring of loadtests.capacity itself, on a real Redis."""

import pytest

from loadtests.capacity.__main__ import STREAMS, fleet
from tests.servers import program


@pytest.mark.slow
def test_processes_hear_of_each_other_and_their_cost_is_counted() -> None:
    """Of a few, for a moment."""
    if program("redis-server") is None:
        pytest.skip("redis-server is not installed")
    found = fleet(3, seconds=0.5)
    assert (found.processes, found.streams) == (3, STREAMS)
    assert 0 < found.rounds_per_s < 20
    assert found.redis_us > 0
    assert found.own_us > 0
    assert found.sent_bytes > 0
    assert found.asked >= 1
