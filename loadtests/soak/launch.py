"""Starts the gateway as `codex2api serve` does, and writes down how many tasks its loop has.

A count of tasks is no metric of the product: it takes a walk over all of them. Each worker writes
into a file of its own, in the folder SOAK_TASKS, every few seconds.
"""

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Final

EVERY_S: Final = 2.0


def count() -> int:
    """Return how many tasks there are that are not done; ask from any thread."""
    for _ in range(10):
        try:
            # Where `asyncio.all_tasks` looks; that one asks for a loop, which no other thread has.
            tasks = list(asyncio.tasks._all_tasks)  # type: ignore[attr-defined] # noqa: SLF001
        except (RuntimeError, AttributeError):  # it grew meanwhile; or it has another name
            tasks = list(getattr(asyncio.tasks, "_scheduled_tasks", ()))
        if tasks:
            return sum(not task.done() for task in tasks)
    return 0


def _write(folder: Path) -> None:
    file = folder / str(os.getpid())
    while True:
        file.write_text(str(count()))
        time.sleep(EVERY_S)


def _begin() -> None:
    folder = Path(os.environ["SOAK_TASKS"])
    threading.Thread(target=_write, args=(folder,), daemon=True).start()


if "SOAK_TASKS" in os.environ:
    import tests.e2e.launch  # noqa: F401 - gives the gateway the run's limits

    # Where workers are forked, they have none of the threads; where they are not, they import this.
    os.register_at_fork(after_in_child=_begin)
    _begin()

if __name__ == "__main__":
    from app.cli.main import main

    main(["serve"])
