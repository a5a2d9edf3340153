"""Tests of app.admin.overview."""

from app.admin.overview import FORECAST_S, TODAY_S, RunwayRow, Today
from tests.admin.vitals import Parts


async def test_numbers_are_those_of_the_parts():
    """Without end is null, as JSON has no infinity."""
    parts = Parts("a")
    numbers = await parts.overview.numbers()
    assert (numbers.in_flight, numbers.streams, numbers.queue_depth) == (1, 2, 3)
    assert numbers.accounts["ready"] == 1
    assert numbers.runway == RunwayRow(60.0, 90.0, None, "5h")
    assert numbers.today == Today(5, 1, 10, 20, 1.0)


async def test_what_costs_more_is_asked_again_after_a_while():
    """Others look meanwhile at what was found."""
    parts = Parts()
    await parts.overview.numbers()
    parts.runway, parts.away = None, True
    numbers = await parts.overview.numbers()
    assert (numbers.runway is not None, numbers.today is not None, parts.asked) == (True, True, 1)
    await parts.accounts.clock.advance(max(FORECAST_S, TODAY_S))
    numbers = await parts.overview.numbers()
    assert (numbers.runway, numbers.today, parts.asked) == (None, None, 2)


async def test_cpu_is_a_share_of_the_time_since_the_last_look():
    """Of one core."""
    parts = Parts()
    await parts.accounts.clock.advance(2.0)
    parts.values["cpu_s"] = 2.0
    assert (await parts.overview.numbers()).cpu_ratio == 0.5
    assert (await parts.overview.numbers()).cpu_ratio == 0.0


async def test_the_operations_page_has_the_places():
    """And what the worker holds open."""
    page = await Parts().overview.operations()
    assert (page.database, page.cache, page.database_revision) == ("db", "memory", 7)
    assert page.connections == {"open": 4.0}
