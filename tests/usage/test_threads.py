"""Tests of app.usage.threads."""

import asyncio
from threading import Event

import pytest

from app.usage.threads import in_thread


async def test_the_result_comes_back() -> None:
    """And so does what went wrong."""
    assert await in_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 7, 0)


async def test_who_is_cancelled_waits_for_the_thread() -> None:
    """Nobody else comes to the files before it has left them."""
    began, go, ended = Event(), Event(), Event()

    def work() -> None:
        began.set()
        go.wait(10)
        ended.set()

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(began.wait, 10)
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
