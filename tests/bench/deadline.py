"""What bounding a wait costs, beside `asyncio.timeout`. Run by hand.

PYTHONPATH=. .venv/bin/python tests/bench/deadline.py
"""

import asyncio
import time

import uvloop

from app.relay.deadline import Deadline

ROUNDS = 100_000


async def main() -> None:
    """Print a line for each."""
    started = time.process_time()
    for _ in range(ROUNDS):
        async with asyncio.timeout(30):
            pass
    middle = time.process_time()
    for _ in range(ROUNDS):
        with Deadline(30):
            pass
    ended = time.process_time()
    print(f"asyncio.timeout  {(middle - started) / ROUNDS * 1e6:5.2f} us")
    print(f"Deadline         {(ended - middle) / ROUNDS * 1e6:5.2f} us")


if __name__ == "__main__":
    uvloop.run(main())
