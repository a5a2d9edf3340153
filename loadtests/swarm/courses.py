"""Which share of the users there is at which part of a run, between 0 and 1. Knows no locust."""

from collections.abc import Callable
from typing import Final

STEPS: Final = 5
STORMS: Final = 4
CALM: Final = 0.1
"""Share of the users that there are beside a spike, and between two storms."""


def steady(_: float) -> float:
    """All of them, from the beginning to the end."""
    return 1.0


def step(at: float) -> float:
    """More and more, in even steps: where does it bend?"""
    return (int(at * STEPS) + 1) / STEPS


def spike(at: float) -> float:
    """Few, then all at once, then few again: does it come back?"""
    return 1.0 if 1 / 3 <= at < 2 / 3 else CALM


def reconnect(at: float) -> float:
    """All go and come back at the same moment, again and again, as after a load balancer's end."""
    return CALM if at * STORMS % 1 > 1 - CALM else 1.0


COURSES: Final[dict[str, Callable[[float], float]]] = {
    "steady": steady,
    "step": step,
    "spike": spike,
    "soak": steady,
    "reconnect": reconnect,
}
