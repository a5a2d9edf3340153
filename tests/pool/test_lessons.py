"""Each part of an account's state learns what it can from a call, and nothing else."""

from random import Random

import pytest
from msgspec.structs import asdict

from app.domain.outcome import (
    Abandoned,
    Broken,
    Misread,
    Overloaded,
    RateLimited,
    Refused,
    Succeeded,
    Unauthorized,
    Unreachable,
    Unsuited,
)
from app.domain.usage import Usage
from app.pool import lessons
from app.pool.state import AccountState, Gauge, Health
from tests.fakes.accounts import account

NOW = 1_000.0
COUNTED = {"failures"}
CROWDED = {"window", "threshold", "pressed_turn"}
SLOW = {"wait_s", "wait_at", "breaks"}
RESTS = {"health", "reason", "ready_at", "rested_turn", "strikes"}


def state() -> AccountState:
    """Return an account with one call that has just ended."""
    return AccountState(account(generation=2), turn=1)


def learnt(outcome, *, generation: int = 2) -> set[str]:
    """Return which fields a failure changes."""
    before, after = state(), state()
    lessons.failed(after, outcome, generation=generation, number=1, now=NOW, rng=Random(1))
    assert after.failures in (0, 1)
    return {name for name, value in asdict(after).items() if value != getattr(before, name)}


def named(value: object) -> str:
    """Return a name of a value that is the same in every process: a set has no order of its own."""
    return ",".join(sorted(value)) if isinstance(value, set | frozenset) else repr(value)


@pytest.mark.parametrize(("outcome", "fields"), [
    (RateLimited(None, burst=True), COUNTED | CROWDED | RESTS),
    (RateLimited(2_000.0), COUNTED | RESTS - {"strikes"}),
    (RateLimited(2_000.0, model="m1"), COUNTED | {"model_ready_at"}),
    (Overloaded("busy"), COUNTED | CROWDED),
    (Broken("cut", sent=True), COUNTED | SLOW),
    (Unreachable("proxy"), COUNTED | SLOW - {"breaks"}),
    (Unauthorized(dead=False, reason="no"), COUNTED | {"health", "reason"}),
    (Unsuited("m1", "no"), COUNTED | {"model_ready_at"}),
    (Misread(400, b""), set()),
    (Refused(400, None, None, "bad"), set()),
    (Abandoned(), set()),
], ids=named)  # fmt: skip
def test_what_a_failure_changes(outcome, fields):
    """Whose fault it is not learns nothing."""
    assert learnt(outcome) == fields


@pytest.mark.parametrize(
    ("generation", "fields"), [(1, set()), (2, COUNTED | {"health", "reason"})]
)
def test_a_refusal_of_a_replaced_credential_says_nothing(generation, fields):
    """It is the new one that calls are made with."""
    assert learnt(Unauthorized(dead=True, reason="revoked"), generation=generation) == fields


@pytest.mark.parametrize(("usage", "tokens"), [(None, 0), (Usage(input=3, output=4), 7)])
def test_a_success_is_counted_where_it_was_metered(usage, tokens):
    """Also if nobody said how many tokens it took."""
    known = state()
    known.strikes = 3
    known.windows = {
        ("codex", 300): Gauge(0.1, 9_000.0, NOW, NOW),
        ("other", 300): Gauge(0.1, 9_000.0, NOW, NOW),
    }
    lessons.succeeded(
        known, Succeeded(0.1, usage), number=1, family="other", now=NOW, rng=Random(1)
    )
    assert (known.successes, known.failures, known.tokens, known.strikes) == (1, 0, tokens, 0)
    counted = [(gauge.requests, gauge.tokens) for gauge in known.windows.values()]
    assert counted == [(0, 0), (1, tokens)]


def test_a_call_that_begins_proves_the_account_and_widens_it():
    """And tells how long it waited."""
    known = state()
    known.health, known.window, known.in_flight = Health.PROBING, 1.0, 1
    lessons.begun(known, 1, 2.5, now=NOW)
    assert known.health is Health.READY
    assert known.window == 2.0
    assert known.wait_s >= 2.5
