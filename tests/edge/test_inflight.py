"""Tests of app.edge.inflight."""

import asyncio

import pytest

from app.edge.inflight import BODY_BYTES_MAX, SLICE, Ease, InFlight
from app.errors import Draining, GatewayError, Overloaded


def test_calls_are_counted_in_and_out() -> None:
    """More than may be are told to come back."""
    in_flight = InFlight(calls_max=2)
    first, _ = in_flight.enter(), in_flight.enter()
    with pytest.raises(Overloaded) as refused:
        in_flight.enter()
    assert refused.value.retry_after_s
    first.leave()
    in_flight.enter()
    assert len(in_flight) == 2


def test_a_drain_lets_nobody_in() -> None:
    """It says so, and a second one changes nothing."""
    in_flight = InFlight(calls_max=2)
    for _ in range(2):
        in_flight.drain()
        assert in_flight.draining
        with pytest.raises(Draining) as refused:
            in_flight.enter()
        assert refused.value.retry_after_s


async def test_idle_is_when_the_last_one_has_left() -> None:
    """At once if there is none."""
    in_flight = InFlight(calls_max=2)
    await in_flight.idle()
    first, second = in_flight.enter(), in_flight.enter()
    idle = asyncio.create_task(in_flight.idle())
    first.leave()
    await asyncio.sleep(0)
    assert not idle.done()
    second.leave()
    await idle


def test_bodies_share_one_budget() -> None:
    """What one call gives back another may hold; who is refused holds what it held."""
    in_flight = InFlight(calls_max=9, body_bytes_max=100)
    first, second = in_flight.enter(), in_flight.enter()
    first.hold(60)
    second.hold(40)
    with pytest.raises(Overloaded) as refused:
        second.hold(1)
    assert refused.value.retry_after_s
    assert in_flight.body_bytes == 100
    first.leave()
    second.hold(60)
    assert in_flight.body_bytes == 100
    second.leave()
    assert in_flight.body_bytes == 0


def test_a_body_that_is_alone_fits() -> None:
    """The limit of one body is set elsewhere, and may be above the budget of all."""
    in_flight = InFlight(calls_max=9, body_bytes_max=100)
    place = in_flight.enter()
    for _ in range(3):
        place.hold(60)
    with pytest.raises(Overloaded):
        in_flight.enter().hold(1)


def test_a_body_that_is_needed_no_more_is_given_back_early() -> None:
    """And not a second time when its call leaves."""
    in_flight = InFlight(calls_max=9, body_bytes_max=100)
    place = in_flight.enter()
    place.hold(60)
    place.release()
    assert (in_flight.body_bytes, len(in_flight)) == (0, 1)
    place.leave()
    assert (in_flight.body_bytes, len(in_flight)) == (0, 0)


def test_the_budget_takes_ten_of_the_largest_bodies() -> None:
    """By default."""
    assert BODY_BYTES_MAX // (48 << 20) == 10


def test_who_withdraws_still_takes_calls() -> None:
    """Load balancers have not heard yet; connections are to end with their answers."""
    in_flight = InFlight(calls_max=1)
    assert not in_flight.closing
    in_flight.withdraw()
    assert in_flight.draining
    assert in_flight.closing
    in_flight.enter().leave()
    in_flight.drain()
    with pytest.raises(Draining):
        in_flight.enter()
    in_flight.enter(promised=True).leave()


async def test_what_still_runs_at_the_end_is_interrupted() -> None:
    """Each once, in slices, and none that has ended meanwhile."""
    in_flight = InFlight(calls_max=1_000)
    errors: list[GatewayError] = []
    places = [in_flight.enter(errors.append) for _ in range(SLICE + 2)]
    quiet = in_flight.enter()
    places[0].leave()
    in_flight.hurry()
    places[-1].leave()
    assert len(errors) == SLICE
    await asyncio.sleep(0)
    assert len(errors) == SLICE
    assert {error.code for error in errors} == {"server_draining"}
    for place in (*places[1:-1], quiet):
        place.leave()
    await asyncio.wait_for(in_flight.idle(), 5)


def test_who_can_carry_no_more_takes_nobody() -> None:
    """And counts nobody in."""

    class Strained(Ease):
        word = "late"

        def admit(self) -> None:
            """Let nobody in."""
            raise Overloaded("no")

    in_flight = InFlight(calls_max=9, strain=Strained())
    assert in_flight.closing
    with pytest.raises(Overloaded):
        in_flight.enter()
    assert len(in_flight) == 0
