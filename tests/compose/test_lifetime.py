"""Tests of app.compose.lifetime."""

import asyncio
import threading

from app.compose import gateway, lifetime


async def test_closing_ends_the_background_work(settings):
    """No task of the gateway outlives it."""
    before = asyncio.all_tasks()
    async with gateway(settings):
        assert len(asyncio.all_tasks()) > len(before)
    assert asyncio.all_tasks() == before


async def test_the_loop_is_watched_while_the_gateway_is_open(settings):
    """And not after it, when nothing beats any more."""

    def watched() -> bool:
        return "watchdog" in {thread.name for thread in threading.enumerate()}

    async with gateway(settings):
        assert watched()
    assert not watched()


async def test_work_that_misses_its_end_is_told_again(monkeypatch):
    """A library may swallow a cancellation; the gateway ends all the same."""
    monkeypatch.setattr(lifetime, "CANCEL_AGAIN_S", 0.01)
    missed = []

    async def work() -> None:
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                if missed:
                    raise
                missed.append(1)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await asyncio.sleep(0)
        await lifetime.ended([task])
    assert task.cancelled()
    assert missed == [1]
