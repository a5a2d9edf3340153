"""Begins to wait without a task.

Most of what is sent is taken at once. Then there is nothing to wait for, and no task has to be
woken only to find that out.
"""

from collections.abc import Awaitable, Generator, Iterator
from types import coroutine
from typing import Any


def begun(sending: Awaitable[None]) -> Awaitable[None] | None:
    """Do the first step of `sending`; None if that was all, else what is to be awaited.

    That step may be done outside of any task, so nothing in it may ask for the present one.
    """
    steps = sending.__await__()
    try:
        waiting = next(steps)
    except StopIteration:
        return None
    return rest_of(waiting, steps)


@coroutine
def rest_of(waiting: Any, steps: Iterator[Any]) -> Generator[Any, None, None]:
    """Return what remains to be awaited of something whose first step was done."""
    yield waiting
    yield from steps
