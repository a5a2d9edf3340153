"""Minutes of production tasks in virtual time in which a great deal goes wrong, and always a seed.

Relay, admission, pool and renewer run as they are, in one to three processes that share a store;
the overseer looks after every step. What the days hold is in `relay_days.py`, what must never
happen in `overseer.py`. `SIMULATION_SEEDS=10000` plays as many; seeds that ever failed stand in
`KEPT`; `SIMULATION_SEED=123` plays that one alone.
"""

import os
from collections import Counter

import pytest

from tests.simulation.backend import Turn
from tests.simulation.relay_days import Day

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
    """Return what a day came to; a failure says how to play it again."""
    try:
        return Day(seed).play()
    except Exception as error:
        again = f"SIMULATION_SEED={seed} .venv/bin/pytest {os.path.relpath(__file__)}"
        raise AssertionError(f"{type(error).__name__} {error}\n    {again}") from error


@pytest.mark.parametrize("block", range(BLOCKS))
def test_days_go_well(block):
    """No invariant is broken on any day."""
    for seed in seeds(block):
        played(seed)


def test_the_days_are_worth_playing():
    """Over some of them everything comes up that can happen to a call or to a credential."""
    ends, turns = Counter(), Counter()
    lost = waited = exchanges = 0
    for seed in range(60):
        tally = played(seed)
        ends.update(tally.ends)
        turns.update(tally.turns)
        lost += tally.lost
        waited += tally.waited
        exchanges += tally.exchanges
    assert min(ends[end] for end in ("whole", "error", "left", "enough", "killed")) > 10
    assert turns.keys() >= {*Turn, "limited", "unauthorized"}
    assert lost > 3
    assert exchanges > 100
    assert waited > 300


def test_the_same_seed_plays_the_same():
    """A failure can be looked at as often as it takes."""
    assert [played(seed).digest for seed in range(8)] == [played(seed).digest for seed in range(8)]
