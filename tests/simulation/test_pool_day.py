"""Days of small pools in virtual time in which a great deal goes wrong, and always a seed.

Each is played by the production pool, health and verdict; the judge looks after every step. What
the days hold is in `days.py`. `SIMULATION_SEEDS=10000` plays as many; seeds that ever failed stand
in `KEPT`; `SIMULATION_SEED=123` plays that one alone.
"""

import os

import pytest

from app.simulation.engine import Simulation
from tests.simulation.days import day

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "500"))
SEED = os.environ.get("SIMULATION_SEED")
KEPT: list[int] = []
BLOCKS = 20


def seeds(block):
    """Return the seeds that a block of the tests plays."""
    if SEED is not None:
        return [int(SEED)] if block == 0 else []
    return [*range(block, SEEDS, BLOCKS), *(KEPT if block == 0 else [])]


def played(seed):
    """Return a day after it was played; a failure says how to play it again."""
    simulation = Simulation(day(seed))
    try:
        simulation.run()
    except Exception as error:
        again = f"SIMULATION_SEED={seed} .venv/bin/pytest {os.path.relpath(__file__)}"
        raise AssertionError(f"{type(error).__name__} {error}\n    {again}") from error
    return simulation


@pytest.mark.parametrize("block", range(BLOCKS))
def test_days_go_well(block):
    """No invariant is broken, and every call was served, refused, cut or left."""
    for seed in seeds(block):
        simulation = played(seed)
        ledger = simulation.ledger
        ends = ledger.served + sum(ledger.refused.values()) + ledger.broken + ledger.left
        assert ends == ledger.arrived, f"SIMULATION_SEED={seed}"


def test_the_days_are_worth_playing():
    """Over some of them every kind of end and every kind of refusal comes up."""
    codes = set()
    served = broken = left = queued = 0
    for seed in range(60):
        ledger = played(seed).ledger
        codes |= ledger.refused.keys()
        served, broken = served + ledger.served, broken + ledger.broken
        left, queued = left + ledger.left, queued + ledger.queued
    assert codes >= {
        "context_length_exceeded",
        "pool_busy",
        "pool_empty",
        "response_context_unavailable",
        "upstream_error",
        "usage_limit_reached",
    }
    assert min(served, broken, left, queued) > 60


def test_the_same_seed_decides_the_same():
    """A failure can be looked at as often as it takes."""
    assert [played(seed).ledger.digest for seed in range(8)] == [
        played(seed).ledger.digest for seed in range(8)
    ]
