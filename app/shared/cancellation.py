"""Sees a cancellation that got lost on its way.

The Redis client writes under `asyncio.wait_for`, which in Python 3.11 gives its result, and forgets
that its task was cancelled, if both come in the same turn of the loop. The task itself still knows.
"""

import asyncio


def cancelled() -> bool:
    """Tell whether the present task was cancelled, although nothing was raised in it.

    A loop around such waits asks this each time; its waits are bounded, so that it asks soon.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
