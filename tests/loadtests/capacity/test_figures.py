"""Tests of loadtests.capacity.figures."""

from pathlib import Path

import pytest
from msgspec import structs

from loadtests.capacity.figures import (
    BUSY,
    Calls,
    Fleet,
    Gateway,
    Measured,
    from_bench,
    line,
    processes_a_redis,
    redis_core,
    steady,
    streams_a_core,
    streams_a_pod,
)

GATEWAY = Gateway("2026-01-01", event_us=50.0, call_us=3_000.0, stream_bytes=1 << 16, rest_mib=200)


def fleet(processes: int, redis_us: float) -> Fleet:
    """Return costs of so many processes."""
    return Fleet(processes, 50, 4.0, redis_us, 1_000.0, 1_000.0, 1_000.0, 2.0)


def measured(*fleets: Fleet) -> Measured:
    """Return what was measured."""
    return Measured("2026-01-01", GATEWAY, list(fleets), Calls(100, 2.0, 0.1, 1_000.0))


def test_a_core_is_filled_by_events_and_by_calls() -> None:
    """20 events/s are 1,000 us a second, a call each 30 s 100 us more; 600,000 are there."""
    assert streams_a_core(GATEWAY, 20) == 545


def test_a_pod_is_filled_by_what_its_streams_hold() -> None:
    """Four fifths of a GiB, less what is there at rest, at 16 streams a MiB."""
    assert streams_a_pod(GATEWAY) == int((1024 * 0.8 - 200) * 16)


def test_a_line_goes_through_its_points() -> None:
    """And through the middle of a single one."""
    assert line([(1, 3), (2, 5), (4, 9)]) == pytest.approx((1, 2))
    assert line([(5, 7)]) == (7, 0)


def test_the_cost_of_all_rounds_grows_with_the_square() -> None:
    """As each round costs more for each process that is there."""
    found = measured(fleet(10, 110), fleet(100, 200))
    assert redis_core(found, 100) == pytest.approx(100 * 4.2 * 200 / 1e6)
    assert redis_core(found, 200) > 2 * redis_core(found, 100)


def test_a_fleet_that_did_not_keep_its_pace_is_not_believed() -> None:
    """Unless there is nothing else."""
    slow = structs.replace(fleet(50, 9_000), rounds_per_s=0.5)
    assert steady(measured(fleet(2, 100), fleet(10, 110), slow)) == [fleet(2, 100), fleet(10, 110)]
    assert steady(measured(fleet(2, 100), slow)) == [fleet(2, 100), slow]


def test_a_redis_bears_as_many_as_its_core() -> None:
    """The last number of processes that does not fill it too much."""
    found = measured(fleet(10, 110), fleet(100, 200))
    most = processes_a_redis(found)
    assert redis_core(found, most) <= BUSY < redis_core(found, most + 1)


def test_the_costs_of_a_worker_stand_in_bench_md() -> None:
    """As its tables are now."""
    found = from_bench((Path(__file__).parents[3] / "bench.md").read_text("utf-8"))
    assert 5 < found.event_us < 500
    assert 100 < found.call_us < 10_000
    assert 10_000 < found.stream_bytes < 1_000_000
    assert 20 < found.rest_mib < 1_000
    with pytest.raises(ValueError, match="events"):
        from_bench("nothing")
