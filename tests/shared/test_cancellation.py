"""Tests of app.shared.cancellation."""

import asyncio
from contextlib import suppress

from app.shared.cancellation import cancelled


async def test_a_lost_cancellation_is_seen() -> None:
    """A loop that asks ends, although its wait has swallowed what should have ended it."""
    rounds = 0

    async def loop() -> None:
        nonlocal rounds
        while not cancelled():
            rounds += 1
            with suppress(asyncio.CancelledError):  # as a library may
                await asyncio.sleep(60)

    task = asyncio.get_running_loop().create_task(loop())
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert rounds == 1


async def test_a_task_that_nobody_has_cancelled_goes_on() -> None:
    """Also after a time-out of its own, which is a cancellation that was taken back."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(60)
    assert not cancelled()
