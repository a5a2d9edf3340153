"""Tests of app.store.lock."""

import asyncio
from pathlib import Path

import pytest

from app.errors import StateError
from app.store.lock import exclusive


async def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """The second one gives up after its time, with the lock's name."""
    path = tmp_path / "lock"
    async with exclusive(path, timeout_s=1):
        with pytest.raises(StateError, match=str(path)):
            async with exclusive(path, timeout_s=0.1):
                pytest.fail("it was taken")


async def test_a_waiter_gets_the_lock_once_it_is_free(tmp_path: Path) -> None:
    """A start waits while another one migrates."""
    path = tmp_path / "lock"
    taken = []

    async def wait() -> None:
        async with exclusive(path, timeout_s=10):
            taken.append(True)

    async with exclusive(path, timeout_s=1):
        waiter = asyncio.create_task(wait())
        await asyncio.sleep(0)
        assert not taken
    await waiter
    assert taken


async def test_a_lock_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """A folder that is missing is a clear error."""
    with pytest.raises(StateError, match="can't be opened"):
        async with exclusive(tmp_path / "none" / "lock", timeout_s=1):
            pytest.fail("it was taken")
