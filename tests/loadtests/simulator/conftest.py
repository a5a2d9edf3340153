"""Simulators and peers for the tests of this folder."""

from contextlib import AsyncExitStack

import pytest

from loadtests.simulator.config import fast
from loadtests.simulator.server import Simulator
from tests.loadtests.simulator.peer import Peer


@pytest.fixture
async def start():
    """Start simulators with fields of `Config`; they stop after the test."""
    async with AsyncExitStack() as stack:

        async def begin(**changes) -> Simulator:
            return await stack.enter_async_context(Simulator(fast(**changes)))

        yield begin


@pytest.fixture
async def simulator(start) -> Simulator:
    """A simulator without delays."""
    return await start()


@pytest.fixture
def peer(simulator) -> Peer:
    """The first account's peer."""
    return Peer(simulator)
