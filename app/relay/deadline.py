"""Bounds a wait: `asyncio.timeout` without its price.

On the path of every call a few things are waited for. `asyncio.timeout` costs a third more each
time (tests/bench/deadline.py), for being entered and left asynchronously.
It does less: it belongs to the task that entered it, and it is entered once.
"""

import asyncio
from types import TracebackType
from typing import Self


class Deadline:
    """Cancels the task that entered it after `limit_s` seconds and makes that a `TimeoutError`."""

    __slots__ = ("_handle", "_limit_s", "_struck", "_task")

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._struck = False

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._handle = asyncio.get_running_loop().call_later(self._limit_s, self._strike)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del error, trace
        self._handle.cancel()
        if self._struck and self._task is not None:
            # Somebody else may have cancelled the task as well; their word goes first.
            others = self._task.uncancel()
            if not others and kind is not None and issubclass(kind, asyncio.CancelledError):
                raise TimeoutError

    def restart(self, limit_s: float) -> None:
        """Strike `limit_s` seconds from now instead."""
        self._handle.cancel()
        self._handle = asyncio.get_running_loop().call_later(limit_s, self._strike)

    def _strike(self) -> None:
        self._struck = True
        if self._task is not None:
            self._task.cancel()
