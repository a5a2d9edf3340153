"""Every health, every outcome, every moment: what becomes of an account."""

from itertools import product
from random import Random

import pytest

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
from app.pool import health
from app.pool.health import REST_MAX_S, UNSUITED_REST_S, after, serves, wake
from app.pool.state import MODELS_MAX, AccountState, Health
from tests.fakes.accounts import account

NOW = 1_000.0
RESTS = {"never": 0.0, "over": 900.0, "now": NOW, "on": 2_000.0}
"""When an account's rest ends, seen from now."""

NEUTRAL = {
    "success": Succeeded(0.5),
    "abandoned": Abandoned(),
    "overloaded": Overloaded("busy"),
    "unreachable": Unreachable("proxy"),
    "refused": Refused(400, None, None, "no"),
    "misread": Misread(400, b""),
}
"""Outcomes that change nobody's health."""
RESTING = {
    "limit with reset": (RateLimited(5_000.0), 5_000.0, 5_005.0),
    "limit in the past": (RateLimited(-5.0), NOW + 1, NOW + 1.1),
    "limit far away": (RateLimited(1e12), NOW + REST_MAX_S, NOW + REST_MAX_S + 5),
    "limit unnamed": (RateLimited(None), NOW + 300, NOW + 360),
    "burst unnamed": (RateLimited(None, burst=True), NOW + 2.5, NOW + 5),
    "burst with reset": (RateLimited(NOW + 20, burst=True), NOW + 20, NOW + 20.4),
}
"""Outcomes that rest the account, and between which moments the rest then ends."""
UNNAMED = {"limit unnamed", "burst unnamed"}
OUT = {
    "unauthorized": (Unauthorized(dead=False, reason="expired"), Health.EXPIRED),
    "dead": (Unauthorized(dead=True, reason="gone"), Health.BANNED),
}
HEALTHS = [
    (status, rest)
    for status, rest in product(Health, RESTS)
    if (status is not Health.READY or rest != "on") and (status, rest) != (Health.COOLING, "never")
]
"""Every state that can be: who is ready has no rest to come, who is cooling has had one."""
each_health = pytest.mark.parametrize(("status", "rest"), HEALTHS, ids=str)


def state(status: Health = Health.READY, rest: str = "never", **changes) -> AccountState:
    """Return an account in this health."""
    return AccountState(account(), health=status, ready_at=RESTS[rest], **changes)


def learn(known: AccountState, outcome, *, now: float = NOW, seed: int = 1) -> AccountState:
    """Return the state after the outcome."""
    after(known, outcome, now=now, rng=Random(seed))
    return known


@each_health
@pytest.mark.parametrize("outcome", NEUTRAL.values(), ids=NEUTRAL)
def test_what_says_nothing_of_the_account_changes_nothing(status, rest, outcome):
    """A late success wakes nobody either."""
    known = learn(state(status, rest), outcome)
    assert (known.health, known.ready_at) == (status, RESTS[rest])
    assert known == state(status, rest)


@each_health
@pytest.mark.parametrize("name", RESTING)
def test_a_limit_rests_the_account(status, rest, name):
    """Until the reset, or for longer if it rests longer already; who is out stays out."""
    outcome, first, last = RESTING[name]
    known = learn(state(status, rest), outcome)
    out = status in (Health.EXPIRED, Health.BANNED)
    assert known.health is (status if out else Health.COOLING)
    if rest == "on" and (name in UNNAMED or last < RESTS["on"]):
        assert known.ready_at == RESTS["on"]
    else:
        assert first <= known.ready_at <= last


@each_health
@pytest.mark.parametrize("name", OUT)
def test_a_refused_credential_takes_the_account_out(status, rest, name):
    """Its rest is remembered, and who is banned stays banned."""
    outcome, expected = OUT[name]
    known = learn(state(status, rest), outcome)
    assert known.health is (Health.BANNED if status is Health.BANNED else expected)
    assert known.ready_at == RESTS[rest]


@each_health
def test_a_break_says_nothing_but_several_do(status, rest):
    """The third in a row rests the account for seconds; breaks during a rest count for nothing."""
    known = state(status, rest)
    for _ in range(2):
        learn(known, Broken("cut", sent=True))
        assert (known.health, known.ready_at) == (status, RESTS[rest])
    learn(known, Broken("cut", sent=True))
    out = status in (Health.EXPIRED, Health.BANNED)
    assert known.failures == 3
    assert known.health is (status if out else Health.COOLING)
    if rest == "on":
        assert (known.ready_at, known.strikes) == (RESTS["on"], 0)
    else:
        assert NOW + 2.5 <= known.ready_at <= NOW + 5.0


def test_thirty_streams_cut_at_once_are_one_event():
    """The rest is that of the third break and grows no further."""
    known = state()
    for _ in range(3):
        learn(known, Broken("cut", sent=True))
    until = known.ready_at
    for _ in range(27):
        learn(known, Broken("cut", sent=True))
    assert (known.ready_at, known.strikes, known.failures) == (until, 3, 30)


def test_rests_grow_while_nothing_succeeds():
    """And begin anew after a success."""
    known, now, rests = state(), NOW, []
    for _ in range(12):
        learn(known, RateLimited(None, burst=True), now=now)
        rests.append(known.ready_at - now)
        now = known.ready_at
        assert wake(known, now=now)
    assert rests[0] <= 5.0
    assert all(30.0 <= rest <= 60.0 for rest in rests[4:])
    learn(known, Succeeded(0.1), now=now)
    learn(known, RateLimited(None, burst=True), now=now)
    assert known.ready_at - now <= 5.0


def test_accounts_do_not_wake_in_the_same_second():
    """A thousand of them spread over the jitter."""
    wakes = {round(learn(state(), RateLimited(5_000.0), seed=n).ready_at) for n in range(1_000)}
    assert len(wakes) == 6


@pytest.mark.parametrize(
    ("outcome", "first", "last"),
    [
        (RateLimited(5_000.0, model="m"), 5_000.0, 5_005.0),
        (RateLimited(None, model="m", burst=True), NOW + 2.5, NOW + 5.0),
        (Unsuited("m", "no"), NOW + UNSUITED_REST_S, NOW + UNSUITED_REST_S),
    ],
)
@pytest.mark.parametrize("status", Health)
def test_a_model_may_rest_alone(status, outcome, first, last):
    """The account goes on serving the others."""
    known = learn(state(status), outcome)
    assert known.health is status
    assert known.ready_at == 0.0
    until = known.model_ready_at["m"]
    assert first <= until <= last
    assert not serves(known, "m", now=until - 0.001)
    assert serves(known, "other", now=NOW)
    assert serves(known, "m", now=until)
    assert known.model_ready_at == {}


def test_a_models_rest_only_gets_longer():
    """As an account's does; a burst during it counts for nothing."""
    known = state(model_ready_at={"m": 9_000.0})
    learn(known, RateLimited(2_000.0, model="m"))
    learn(known, RateLimited(None, model="m", burst=True))
    learn(known, Unsuited("m", "no"))
    assert known.model_ready_at == {"m": 9_000.0}
    assert known.strikes == 0


def test_models_at_rest_are_bounded():
    """Stale ones go first, then whichever is oldest."""
    known = state(model_ready_at={f"m{n}": NOW + 1 + n for n in range(MODELS_MAX - 1)})
    known.model_ready_at["stale"] = NOW
    learn(known, Unsuited("new", "no"))
    assert "stale" not in known.model_ready_at
    assert len(known.model_ready_at) == MODELS_MAX
    learn(known, Unsuited("newer", "no"))
    assert "m0" not in known.model_ready_at
    assert len(known.model_ready_at) == MODELS_MAX


def test_an_account_serves_what_it_was_configured_for():
    """Every model, if nothing else was said."""
    assert serves(state(), "anything", now=NOW)
    chosen = AccountState(account(models=("m1",)))
    assert serves(chosen, "m1", now=NOW)
    assert not serves(chosen, "m2", now=NOW)


@each_health
def test_only_a_rest_that_is_over_ends(status, rest):
    """And nothing but a rest ends by itself."""
    known = state(status, rest)
    woken = status is Health.COOLING and rest != "on"
    assert wake(known, now=NOW) is woken
    assert known.health is (Health.READY if woken else status)


@each_health
def test_a_new_credential_takes_an_account_back(status, rest):
    """Into its rest, if that is not over; who was not out is not touched."""
    known = state(status, rest)
    health.renewed(known, now=NOW)
    if status in (Health.EXPIRED, Health.BANNED):
        assert known.health is (Health.COOLING if rest == "on" else Health.READY)
    else:
        assert known == state(status, rest)


@each_health
@pytest.mark.parametrize(("dead", "expected"), [(True, Health.BANNED), (False, Health.EXPIRED)])
def test_a_credential_can_be_declared_useless(status, rest, dead, expected):
    """By whoever could not renew it."""
    known = state(status, rest)
    health.expired(known, "why", dead=dead)
    assert (known.health, known.reason) == (expected, "why")


@each_health
def test_an_operator_can_end_every_rest(status, rest):
    """But no refusal of the credential."""
    known = state(status, rest, strikes=4, model_ready_at={"m": 9_000.0})
    health.reset(known)
    assert known.health is (Health.READY if status is Health.COOLING else status)
    assert (known.ready_at, known.strikes, known.model_ready_at) == (0.0, 0, {})


def test_an_outcome_that_nobody_thought_of_is_a_defect():
    """The type checker finds it first."""
    with pytest.raises(AssertionError):
        learn(state(), "surprise")
