"""Tests of app.compose.lifetime."""

import asyncio
import threading

from app.compose import gateway


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
