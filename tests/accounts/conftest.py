"""What several tests of accounts begin with."""

import pytest

from tests.accounts.world import World


@pytest.fixture
async def world():
    """A world whose renewer has not been started."""
    world = World()
    yield world
    if world.task is not None and not world.task.done():
        await world.stop()
