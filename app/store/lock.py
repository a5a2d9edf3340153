"""One start at a time: a file lock around migrations and the making of keys.

The kernel lets go of it when its holder dies, so it can't be left behind. The file stays, because
removing it would let two processes hold locks on two files of one name.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.errors import StateError

_POLL_S = 0.1


@asynccontextmanager
async def exclusive(path: Path, *, timeout_s: float) -> AsyncIterator[None]:
    """Hold the lock `path` within the block; waits for another holder up to `timeout_s`.

    Raises:
        StateError: Another process kept it for too long, or it can't be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"The lock {path} can't be opened: {error.strerror}.") from error
    try:
        await _take(descriptor, path, timeout_s=timeout_s)
        yield
    finally:
        os.close(descriptor)


async def _take(descriptor: int, path: Path, *, timeout_s: float) -> None:
    for _ in range(max(1, round(timeout_s / _POLL_S))):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_POLL_S)
        else:
            return
    raise StateError(
        f"Another process has been preparing this database for {timeout_s:g} s (lock {path}); "
        "wait for it, or end it."
    )
