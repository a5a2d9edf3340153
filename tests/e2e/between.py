"""The proxy that makes trouble, run in a thread beside a test that waits for real programs."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from loadtests.chaos import Chaos, chaos


@contextmanager
def between(target: int) -> Iterator[Chaos]:
    """Run a proxy in front of a port; set its trouble from the test's own thread."""
    ready: list[Chaos] = []
    begun, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with chaos(target) as proxy:
            ready.append(proxy)
            begun.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert begun.wait(10)
    try:
        yield ready[0]
    finally:
        over.set()
        thread.join()
