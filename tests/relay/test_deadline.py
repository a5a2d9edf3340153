"""A deadline behaves as `asyncio.timeout` does where both can be used."""

import asyncio

import pytest

from app.relay.deadline import Deadline
from tests.fakes.virtual import virtual


def passed_s() -> float:
    """Return how much virtual time has passed."""
    return asyncio.get_running_loop().time() - 1_000.0


@virtual
async def test_what_ends_in_time_is_not_touched():
    """And no timer is left."""
    with Deadline(10.0):
        await asyncio.sleep(9.9)
    await asyncio.sleep(100.0)
    assert asyncio.current_task().cancelling() == 0


@virtual
async def test_what_lasts_too_long_is_a_timeout():
    """At the deadline, and the task can go on."""
    with pytest.raises(TimeoutError), Deadline(10.0):
        await asyncio.sleep(60.0)
    assert passed_s() == pytest.approx(10.0)
    assert asyncio.current_task().cancelling() == 0


@virtual
async def test_a_deadline_can_be_set_anew():
    """Counted from then."""

    async def work(deadline: Deadline) -> None:
        await asyncio.sleep(9.0)
        deadline.restart(5.0)
        await asyncio.sleep(60.0)

    with pytest.raises(TimeoutError), Deadline(10.0) as deadline:
        await work(deadline)
    assert passed_s() == pytest.approx(14.0)


@virtual
async def test_another_exception_goes_through():
    """Also if the deadline has passed while it was raised."""

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60.0)
        except asyncio.CancelledError:
            raise KeyError("mine") from None

    with pytest.raises(KeyError), Deadline(10.0):
        await stubborn()
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("at_s", [5.0, 10.0])
@virtual
async def test_a_cancellation_of_somebody_else_goes_first(at_s):
    """Before the deadline, and in its very moment."""

    async def bounded() -> None:
        with Deadline(10.0):
            await asyncio.sleep(60.0)

    task = asyncio.create_task(bounded())
    asyncio.get_running_loop().call_later(at_s, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
