"""Tests of app.edge.company; tests/edge/test_streaming.py has it at work over HTTP."""

import asyncio
from collections.abc import Callable

import pytest

from app.edge.company import Company, Pace
from app.errors import Draining, StreamIncomplete


class Quiet(Company):
    """Says nothing."""

    async def _keep_alive(self) -> None:
        self._sending_since = 0.0


async def outcome(happens: Callable[[Company], None], *, patience_s: float = 0.0) -> Company:
    """Return what has become of a call while this happened."""
    found: list[Company] = []

    async def call() -> None:
        found.append(Quiet(Pace(60.0, 60.0, 60.0)))
        found[0].patience = lambda: patience_s
        happens(found[0])
        await asyncio.sleep(0.05)
        found[0].ended = True

    task = asyncio.create_task(call())
    await asyncio.gather(task, return_exceptions=True)
    await found[0].close()
    found[0].status = 499 if task.cancelled() else 200
    return found[0]


async def test_a_caller_that_leaves_ends_its_call() -> None:
    """Once; there is no error to say."""
    company = await outcome(lambda each: (each.left(), each.left()))
    assert (company.gone, company.stayed, company.cut, company.status) == (True, False, None, 499)


async def test_patience_lets_it_go_on() -> None:
    """For as long as it lasts."""
    company = await outcome(Company.left, patience_s=60.0)
    assert (company.gone, company.stayed, company.status) == (True, True, 200)
    company = await outcome(Company.left, patience_s=0.001)
    assert (company.stayed, company.status) == (True, 499)


async def test_a_call_is_interrupted_with_the_first_error() -> None:
    """Its caller is still there."""
    first = Draining("restarting")
    company = await outcome(
        lambda each: (each.interrupt(first), each.interrupt(StreamIncomplete("late")))
    )
    assert (company.cut, company.gone, company.status) == (first, False, 499)


@pytest.mark.parametrize("before", ["ended", "gone"])
async def test_what_is_over_is_not_interrupted(before) -> None:
    """Nobody would hear it."""

    def happens(company: Company) -> None:
        setattr(company, before, True)
        company.interrupt(Draining("x"))
        company.left()

    company = await outcome(happens)
    assert (company.cut, company.status) == (None, 200)


async def test_silence_is_for_others_to_fill() -> None:
    """Nothing is said by the watch itself."""
    with pytest.raises(NotImplementedError):
        await Company(Pace(1.0, 1.0, 1.0))._keep_alive()
