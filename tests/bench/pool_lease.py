"""What each word to the pool costs, in a small pool and in a large one. Run by hand.

PYTHONPATH=. .venv/bin/python tests/bench/pool_lease.py
"""

import time
from itertools import islice, pairwise

from app.domain.runtime import Strategy
from loadtests.bench.pool import CALL, FEW, MANY, NOBODY, OUTCOME, Load

ROUNDS = 12
BATCHES = 250
BATCH = 4
"""Calls that overlap, so that the clock is read once for some of them."""


def parts_us(load: Load) -> list[float]:
    """Return the CPU time of lease, observe, began and settle, in microseconds."""
    pool, clock = load.pool, time.process_time
    spent = [0.0] * 4
    for _ in range(BATCHES):
        load.now += 0.01
        now = load.now
        views = list(islice(load.views, BATCH))
        times = [clock()]
        leases = [pool.lease(CALL, excluding=NOBODY, now=now) for _ in range(BATCH)]
        times.append(clock())
        for lease, view in zip(leases, views, strict=True):
            pool.observe(lease.account.id, view, model=CALL.model, now=now)
        times.append(clock())
        for lease in leases:
            pool.began(lease, first_event_s=0.8, now=now)
        times.append(clock())
        for lease in leases:
            pool.settle(lease, OUTCOME, now=now)
        times.append(clock())
        for part, (began, ended) in enumerate(pairwise(times)):
            spent[part] += ended - began
    return [1e6 * part / (BATCHES * BATCH) for part in spent]


def main() -> None:
    """Print a line for each strategy and size, each part the best of some rounds."""
    print("strategy          accounts   lease observe   began  settle     sum")
    for strategy in Strategy:
        for size in (FEW, MANY):
            load = Load(strategy, size)
            rounds = [parts_us(load) for _ in range(ROUNDS)]
            best = [min(part) for part in zip(*rounds, strict=True)]
            row = "".join(f"{cost:8.2f}" for cost in (*best, sum(best)))
            print(f"{strategy:16}{size:10}{row}")


if __name__ == "__main__":
    main()
