"""A day of a pool in virtual time: limits with resets, refusals, breaks, and always a seed.

`SIMULATION_SEEDS=10000` plays as many days; seeds that ever failed stand in `KEPT`.
"""

import os
from heapq import heappop, heappush
from random import Random

import pytest

from app.domain.outcome import (
    Abandoned,
    Broken,
    Outcome,
    Overloaded,
    RateLimited,
    Succeeded,
    Unauthorized,
)
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool, Lease
from app.pool.state import Health
from tests.fakes.accounts import account, call

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "200"))
KEPT: list[int] = []
ACCOUNTS = 20
CAP = 3
WINDOW_S = 5 * 3_600.0
QUOTA = 25
"""Calls that an account has in each window."""
DAY_S = 86_400.0


class Day:
    """One pool, an upstream with quotas, and callers that come by chance."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self.pool = AccountPool(
            rng=Random(seed + 1), affinity=AffinityTable(entries_max=50, ttl_s=3_600.0)
        )
        self.generations = dict.fromkeys((f"a{n}" for n in range(ACCOUNTS)), 0)
        self.pool.apply([account(name, concurrency_max=CAP) for name in self.generations], now=0.0)
        self.offset = {name: self.rng.random() * WINDOW_S for name in self.generations}
        self.used: dict[tuple[str, int], int] = {}
        self.resting_until: dict[str, float] = {}
        """What the upstream said, kept apart from what the pool made of it."""
        self.ends: list[tuple[float, int, Lease, Outcome]] = []
        self.served: list[float] = []
        self.settled = self.leased = 0

    def play(self) -> None:
        """Live through the day and check everything on the way."""
        while self.now < DAY_S:
            self.now += self.rng.expovariate(1 / 60.0)
            self.end_calls()
            self.begin_call()
        self.now += 7_200.0
        self.end_calls()

    def begin_call(self) -> None:
        """A caller asks."""
        session = f"s{self.rng.randrange(30)}" if self.rng.random() < 0.7 else None
        lease = self.pool.lease(call(session_key=session), excluding=frozenset(), now=self.now)
        if not isinstance(lease, Lease):
            assert lease.busy or lease.at is None or lease.at > self.now
            return
        self.leased += 1
        name = lease.account.id
        assert self.resting_until.get(name, 0.0) <= self.now, f"{name} was resting"
        flying = sum(lease.account.id == name for _, _, lease, _ in self.ends)
        assert flying < CAP, f"{name} is above its limit"
        heappush(
            self.ends,
            (self.now + self.rng.random() * 900.0, lease.number, lease, self.outcome(name)),
        )

    def outcome(self, name: str) -> Outcome:
        """Return what will come of a call that begins now."""
        window = int((self.now + self.offset[name]) // WINDOW_S)
        used = self.used[name, window] = self.used.get((name, window), 0) + 1
        if used > QUOTA:
            return RateLimited((window + 1) * WINDOW_S - self.offset[name])
        kinds = [
            Broken("cut", sent=True),
            Overloaded("busy"),
            Abandoned(),
            RateLimited(None, burst=True),
            RateLimited(None, burst=True, model="m2"),
            Unauthorized(dead=False, reason="expired"),
        ]
        return self.rng.choice(kinds) if self.rng.random() < 0.15 else Succeeded(1.0)

    def end_calls(self) -> None:
        """Settle what has ended by now, in its order."""
        while self.ends and self.ends[0][0] <= self.now:
            at, _, lease, outcome = heappop(self.ends)
            self.pool.settle(lease, outcome, now=at)
            self.settled += 1
            name = lease.account.id
            if isinstance(outcome, Succeeded):
                self.served.append(at)
            elif isinstance(outcome, RateLimited) and outcome.reset_at is not None:
                until = max(outcome.reset_at, self.resting_until.get(name, 0.0))
                self.resting_until[name] = until
            elif isinstance(outcome, Unauthorized) and self.rng.random() < 0.9:
                self.renew(name, at)
        for name in self.generations:
            if self.rng.random() < 0.001:
                self.renew(name, self.now)

    def renew(self, name: str, at: float) -> None:
        """A renewal succeeds, in time or just so."""
        self.generations[name] += 1
        renewed = account(name, generation=self.generations[name], concurrency_max=CAP)
        self.pool.put(renewed, now=at)


@pytest.mark.parametrize("block", range(10))
def test_a_day_goes_well(block):
    """Nobody is asked while it rests, every lease is settled, and traffic returns after resets."""
    for seed in [*range(block, SEEDS, 10), *(KEPT if block == 0 else [])]:
        day = Day(seed)
        try:
            day.play()
            assert day.settled == day.leased
            assert day.pool.leases == 0
            assert all(state.in_flight == 0 for state in day.pool.states)
            assert sum(state.requests for state in day.pool.states) == day.leased
            hours = {int(at // 3_600.0) for at in day.served}
            assert {hour // 6 for hour in hours} >= {0, 1, 2, 3}, "no traffic for six hours"
            assert len(day.served) > 700
            stuck = [s for s in day.pool.states if s.health is Health.COOLING]
            assert all(state.ready_at < day.now + WINDOW_S + 5.0 for state in stuck)
        except Exception as error:
            raise AssertionError(f"SEED {seed}: {error}") from error
