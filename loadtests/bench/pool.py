"""CPU that the pool adds to a call, by strategy and by how many accounts there are.

No program is started and nothing is sent: the pool is called as the relay calls it, once each to
lease, to observe quota windows that have changed, to note that the reply has begun, and to settle.
A figure is the best of many short rounds, in which the sizes take turns, so what else runs on the
machine counts little. Calls overlap a little, as otherwise one account would take them all.
"""

import gc
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Final

from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.call import Call, Dialect
from app.domain.caller import KeyId
from app.domain.outcome import Succeeded
from app.domain.quota import MAIN_FAMILY, QuotaView, QuotaWindow
from app.domain.runtime import Strategy
from app.domain.usage import Usage
from app.pool.affinity import AffinityTable
from app.pool.policy import Policy
from app.pool.pool import AccountPool, Lease
from loadtests.bench.figures import Book, Key
from loadtests.bench.rig import Plan

NAME: Final = "pool"
FEW: Final = 10
MANY: Final = 10_000
SIZES: Final = (FEW, 1_000, MANY, 50_000)
ROUNDS: Final = 5
"""For each repeat of the plan."""
CALLS: Final = 1_000
"""Of one round."""
IN_FLIGHT: Final = 8
NOW: Final = 1_800_000_000.0
NOBODY: Final[frozenset[AccountId]] = frozenset()
CALL: Final = Call(
    id="req-1",
    caller_id=KeyId("key-1"),
    dialect=Dialect.RESPONSES,
    model="gpt-5.5",
    body=b"",
)
OUTCOME: Final = Succeeded(0.8, Usage(input=2_000, output=300))


class Load:
    """One pool under calls that overlap."""

    def __init__(self, strategy: Strategy, size: int) -> None:
        self.pool = AccountPool(
            rng=Random(1),
            affinity=AffinityTable(entries_max=1, ttl_s=1.0),
            policy=Policy(strategy=strategy),
        )
        self.pool.apply((_account(number) for number in range(size)), now=NOW)
        self.views = _views()
        self._open: deque[Lease] = deque()
        self.now = NOW

    def cost_us(self, calls: int) -> float:
        """Make so many calls; return the CPU time that one of them took, in microseconds."""
        pool, running, now = self.pool, self._open, self.now
        views = list(islice(self.views, calls))
        began = time.process_time()
        for view in views:
            now += 0.001
            lease = pool.lease(CALL, excluding=NOBODY, now=now)
            if not isinstance(lease, Lease):
                raise TypeError("the pool of a bench is never full")
            pool.observe(lease.account.id, view, model=CALL.model, now=now)
            pool.began(lease, first_event_s=0.8, now=now)
            running.append(lease)
            if len(running) > IN_FLIGHT:
                pool.settle(running.popleft(), OUTCOME, now=now)
        spent = time.process_time() - began
        self.now = now
        return 1e6 * spent / calls


def key(metric: str) -> Key:
    """Return the name of a figure of this scenario."""
    return Key(NAME, "plain", "gateway", "none", metric)


def cost(strategy: Strategy, size: int) -> Key:
    """Return the name of what a call costs in a pool of that size, in microseconds."""
    return key(f"{strategy} {size} us")


def growth(strategy: Strategy) -> Key:
    """Return the name of what a call costs among many accounts, in what it costs among few."""
    return key(f"{strategy} growth")


def run(book: Book, plan: Plan, sizes: tuple[int, ...] = SIZES) -> None:
    """Measure every strategy at every size."""
    for strategy in Strategy:
        best = _measured(strategy, sizes, ROUNDS * plan.repeat)
        for size, cost_us in best.items():
            book.add(cost(strategy, size), cost_us)
        if FEW in best and MANY in best:
            book.add(growth(strategy), best[MANY] / best[FEW])


def _measured(strategy: Strategy, sizes: tuple[int, ...], rounds: int) -> dict[int, float]:
    loads = {size: Load(strategy, size) for size in sizes}
    for load in loads.values():
        load.cost_us(CALLS)
    gc.collect()
    gc.disable()
    try:
        turns = [{size: load.cost_us(CALLS) for size, load in loads.items()} for _ in range(rounds)]
    finally:
        gc.enable()
    return {size: min(turn[size] for turn in turns) for size in sizes}


def _views() -> Iterator[QuotaView]:
    """Yield what upstreams say, for ever: each time a little more of both windows is used."""
    while True:
        for step in range(5_000):
            yield QuotaView(
                windows=(
                    QuotaWindow(MAIN_FAMILY, 300, step / 10_000, NOW + 18_000.0),
                    QuotaWindow(MAIN_FAMILY, 10_080, step / 20_000, NOW + 604_800.0),
                ),
                active_family=MAIN_FAMILY,
                plan="plus",
            )


def _account(number: int) -> Account:
    name = f"account-{number:05}"
    return Account(
        id=AccountId(name),
        name=name,
        kind=AccountKind.CODEX,
        credential=Credential(Secret("at")),
        plan="plus",
    )
