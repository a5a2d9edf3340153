"""The loop itself: what it draws, when time passes, and how it ends."""

import asyncio
from random import Random

import pytest

from tests.simulation.loop import Restless, SimulationLoop, Stuck


def order(seed):
    """Return in which order five tasks take their turns."""
    loop = SimulationLoop(Random(seed))
    turns = []

    async def turn(name):
        for _ in range(2):
            turns.append(name)
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(*(turn(name) for name in "abcde"))

    loop.play(main())
    return "".join(turns)


def test_a_seed_decides_the_order_and_seeds_differ():
    """Every order comes up sooner or later, and the same one again for the same seed."""
    orders = {order(seed) for seed in range(50)}
    assert len(orders) > 30
    assert order(7) == order(7)


def test_time_jumps_to_the_next_timer():
    """A day of sleep takes no time."""
    loop = SimulationLoop(Random(1))
    began = loop.time()
    loop.play(asyncio.sleep(86_400.0))
    assert 86_400.0 <= loop.time() - began < 86_401.0


def test_a_wait_that_nobody_ends_is_an_error():
    """Nothing is ready and no timer is set."""
    loop = SimulationLoop(Random(1))

    async def main():
        await loop.create_future()

    with pytest.raises(Stuck, match="waiting: main"):
        loop.play(main())


def test_a_loop_that_never_lets_time_pass_is_an_error():
    """Somebody polls."""
    loop = SimulationLoop(Random(1))

    async def main():
        while True:  # noqa: ASYNC110 - that is the fault
            await asyncio.sleep(0)

    with pytest.raises(Restless):
        loop.play(main())


def test_an_owner_is_dropped_with_all_its_tasks_after_any_step():
    """Who is killed after so many steps has done just that much, and others go on."""
    done = [dropped_after(steps) for steps in range(12)]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] > 3


def dropped_after(steps):
    """Return how often a child ran whose owner was dropped after so many steps."""
    loop = SimulationLoop(Random(1))
    done = []

    async def child():
        while True:
            done.append("child")
            await asyncio.sleep(0)

    async def parent():
        await asyncio.get_running_loop().create_task(child())

    async def main():
        victim = object()
        loop.create_task_of(victim, parent())
        loop.after_steps(steps, lambda: loop.drop(victim))
        await asyncio.sleep(1.0)
        assert not loop.tasks(victim)

    loop.play(main())
    return len(done)


def test_what_a_watcher_raises_ends_the_simulation():
    """It is asked between two steps, whatever the code that runs makes of exceptions."""
    loop = SimulationLoop(Random(1))

    def watch():
        if loop.steps == 5:
            raise AssertionError("seen")

    loop.watch = watch

    async def main():
        while True:
            try:
                await asyncio.sleep(0)
            except Exception:  # noqa: BLE001, S112 - as production code may
                continue

    with pytest.raises(AssertionError, match="seen"):
        loop.play(main())


def test_complaints_are_kept():
    """What a callback raises is not only logged."""
    loop = SimulationLoop(Random(1))

    def bad():
        raise ValueError("bad")

    async def main():
        loop.call_soon(bad)
        await asyncio.sleep(1)

    loop.play(main())
    assert len(loop.complaints) == 1
    assert "bad" in loop.complaints[0]
