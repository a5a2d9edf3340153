"""Tests of app.compose.lifetime."""

import asyncio

from app.compose import gateway


async def test_closing_ends_the_background_work(settings):
    """No task of the gateway outlives it."""
    before = asyncio.all_tasks()
    async with gateway(settings):
        assert len(asyncio.all_tasks()) > len(before)
    assert asyncio.all_tasks() == before
