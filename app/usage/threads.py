"""Work on the disk, in a thread that is never left behind.

A task that is cancelled while its thread is at work goes on waiting for the thread: whoever comes
after it may touch the same files.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` returns; being cancelled takes until it is done."""
    loop = asyncio.get_running_loop()
    done = loop.run_in_executor(None, lambda: work(*args, **kwargs))
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait([done])
        raise
