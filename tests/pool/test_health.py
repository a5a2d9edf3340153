"""Every health, every outcome, every moment: what becomes of an account."""

from collections.abc import Iterator
from math import inf, nan
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.outcome import (
    Abandoned,
    Broken,
    Misread,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    Succeeded,
    Unauthorized,
    Unreachable,
    Unsuited,
)
from app.pool import health
from app.pool.health import after, began, late, serves, settle_rest, wake
from app.pool.state import MODELS_MAX, AccountState, Health
from tests.fakes.accounts import account

NOW = 1_000.0
REST = 2_000.0
"""Where a rest ends that is still on."""
RESTED_TURN = 20
LEASES = {"fresh": RESTED_TURN + 1, "late": RESTED_TURN}
"""Number of a lease, by whether it was taken after or before the account's last rest."""
DAY = 86_400.0


class Half(Random):
    """Chance that is always in the middle."""

    def random(self) -> float:
        """Return a half."""
        return 0.5


class Edge(Random):
    """Chance at one of its ends."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        """Return the end."""
        return self.value


OUTCOMES: dict[str, Outcome] = {
    "success": Succeeded(0.5),
    "far reset": RateLimited(5_000.0),
    "near reset": RateLimited(1_500.0),
    "burst, near reset": RateLimited(1_500.0, burst=True),
    "limit": RateLimited(None),
    "burst": RateLimited(None, burst=True),
    "model, reset": RateLimited(5_000.0, model="m"),
    "model, limit": RateLimited(None, model="m"),
    "model, burst": RateLimited(None, model="m", burst=True),
    "unsuited": Unsuited("m", "no"),
    "broken": Broken("cut", sent=True),
    "broken, third": Broken("cut", sent=True),
    "unauthorized": Unauthorized(dead=False, reason="expired"),
    "dead": Unauthorized(dead=True, reason="gone"),
    "overloaded": Overloaded("busy"),
    "unreachable": Unreachable("proxy"),
    "refused": Refused(400, None, None, "no"),
    "misread": Misread(400, b""),
    "abandoned": Abandoned(),
}

COLUMNS = [
    (Health.READY, "over"),
    (Health.PROBING, "over"),
    (Health.COOLING, "on"),
    (Health.COOLING, "over"),
    (Health.EXPIRED, "on"),
    (Health.EXPIRED, "over"),
    (Health.BANNED, "on"),
    (Health.BANNED, "over"),
]
"""Every state that can be, by its last rest: who is ready or probing rests no more. A rest that
is over is tried at its last moment and after it."""

TABLE = """
lease  outcome            ready    probing  cooling  cooling  expired  expired  banned   banned
                          -        -        on       over     on       over     on       over
fresh  success            clear    ready    clear    clear    clear    clear    clear    clear
late   success            .        .        .        .        .        .        .        .
fresh  far reset          far      far+     far      far      far      far      far      far
late   far reset          far      far      far      far      far      far      far      far
fresh  near reset         near     near+    .        near     .        near     .        near
late   near reset         near     near     .        near     .        near     .        near
fresh  burst, near reset  nearb    nearb+   .        nearb    .        nearb    .        nearb
late   burst, near reset  nearb    nearb    .        nearb    .        nearb    .        nearb
fresh  limit              limit    limit    .        limit    .        limit    .        limit
late   limit              .        .        .        .        .        .        .        .
fresh  burst              burst    burst    .        burst    .        burst    .        burst
late   burst              .        .        .        .        .        .        .        .
fresh  model, reset       m:far    m:far    m:far    m:far    m:far    m:far    m:far    m:far
late   model, reset       m:far    m:far    m:far    m:far    m:far    m:far    m:far    m:far
fresh  model, limit       m:limit  m:limit  m:limit  m:limit  m:limit  m:limit  m:limit  m:limit
late   model, limit       .        .        .        .        .        .        .        .
fresh  model, burst       m:burst  m:burst  m:burst  m:burst  m:burst  m:burst  m:burst  m:burst
late   model, burst       .        .        .        .        .        .        .        .
fresh  unsuited           m:unfit  m:unfit  m:unfit  m:unfit  m:unfit  m:unfit  m:unfit  m:unfit
late   unsuited           m:unfit  m:unfit  m:unfit  m:unfit  m:unfit  m:unfit  m:unfit  m:unfit
fresh  broken             break    breaks   .        break    .        break    .        break
late   broken             .        .        .        .        .        .        .        .
fresh  broken, third      breaks   breaks   .        breaks   .        breaks   .        breaks
late   broken, third      .        .        .        .        .        .        .        .
fresh  unauthorized       expired  expired  expired  expired  expired  expired  .        .
late   unauthorized       expired  expired  expired  expired  expired  expired  .        .
fresh  dead               banned   banned   banned   banned   banned   banned   .        .
late   dead               banned   banned   banned   banned   banned   banned   .        .
fresh  overloaded         .        .        .        .        .        .        .        .
late   overloaded         .        .        .        .        .        .        .        .
fresh  unreachable        .        .        .        .        .        .        .        .
late   unreachable        .        .        .        .        .        .        .        .
fresh  refused            .        .        .        .        .        .        .        .
late   refused            .        .        .        .        .        .        .        .
fresh  misread            .        .        .        .        .        .        .        .
late   misread            .        .        .        .        .        .        .        .
fresh  abandoned          .        .        .        .        .        .        .        .
late   abandoned          .        .        .        .        .        .        .        .
"""

RESTS = {
    "far": (5_001.0, "usage limit", 0, 0),
    "far+": (5_001.0, "usage limit", 1, 0),
    "near": (1_501.0, "usage limit", 0, 0),
    "near+": (1_501.0, "usage limit", 1, 0),
    "nearb": (1_501.0, "burst limit", 0, 0),
    "nearb+": (1_501.0, "burst limit", 1, 0),
    "limit": (NOW + 330.0, "usage limit", 1, 0),
    "burst": (NOW + 3.75, "burst limit", 1, 0),
    "breaks": (NOW + 7.5, "cut", 1, 1),
}
"""When the rest ends, why, and how many strikes and breaks are added. With the account's one
earlier strike the least rest is the second: see `state`."""
MODEL_RESTS = {
    "m:far": (5_001.0, 0),
    "m:limit": (NOW + 330.0, 1),
    "m:burst": (NOW + 3.75, 1),
    "m:unfit": (NOW + 1_800.0, 0),
}


def cells() -> Iterator[Any]:
    """Yield every cell of the table, the columns of rests that are over twice."""
    for line in TABLE.strip().splitlines()[2:]:
        lease, name = line[:7].strip(), line[7:26].strip()
        for (status, rest), effect in zip(COLUMNS, line[26:].split(), strict=True):
            ends = {"on": {"before": REST}, "over": {"at": NOW, "after": NOW - 100.0}}[rest]
            for moment, ready_at in ends.items():
                label = f"{lease} {name}-{status}-{moment} the end"
                yield pytest.param(lease, name, status, ready_at, effect, id=label)


def state(status: Health = Health.READY, ready_at: float = 0.0, **changes: Any) -> AccountState:
    """Return an account in this health that was leased thirty times and rested after the 20th."""
    fields = {"reason": "why", "turn": 30, "rested_turn": RESTED_TURN, "window": 8.0}
    return AccountState(account(), health=status, ready_at=ready_at, **(fields | changes))


def learn(
    known: AccountState, outcome: Outcome, *, number: int = 30, now: float = NOW, rng: Any = None
) -> AccountState:
    """Return the state after the outcome of lease `number`."""
    after(known, outcome, number=number, now=now, rng=rng or Half())
    return known


def changed(before: AccountState, effect: str) -> AccountState:
    """Return the state that a cell of the table asks for."""
    status = before.health
    out = status in (Health.EXPIRED, Health.BANNED)
    if effect in RESTS:
        until, reason, strikes, breaks = RESTS[effect]
        return replace(
            before,
            health=status if out else Health.COOLING,
            reason=before.reason if out else reason,
            ready_at=until,
            rested_turn=30,
            strikes=before.strikes + strikes,
            breaks=before.breaks + breaks,
        )
    if effect in MODEL_RESTS:
        until, strikes = MODEL_RESTS[effect]
        rests = {"m": until}
        return replace(before, model_ready_at=rests, strikes=before.strikes + strikes)
    changes: dict[str, dict[str, Any]] = {
        ".": {},
        "clear": {"strikes": 0, "breaks": 0},
        "ready": {"strikes": 0, "breaks": 0, "health": Health.READY, "reason": ""},
        "break": {"breaks": before.breaks + 1},
        "expired": {"health": Health.EXPIRED, "reason": "expired"},
        "banned": {"health": Health.BANNED, "reason": "gone"},
    }
    return replace(before, **changes[effect])


@pytest.mark.parametrize(("lease", "name", "status", "ready_at", "effect"), list(cells()))
def test_every_outcome_in_every_health_at_every_moment(lease, name, status, ready_at, effect):
    """The table says what becomes of the account, to the last field."""
    counted = {"success": (3, 2), "broken, third": (1, 2), "broken": (1, 0)}
    strikes, breaks = counted.get(name, (0, 0))
    before = state(status, ready_at, strikes=strikes, breaks=breaks)
    expected = changed(before, effect)
    known = learn(replace(before, model_ready_at={}), OUTCOMES[name], number=LEASES[lease])
    assert known == expected


def test_the_table_has_every_outcome_for_both_leases():
    """An outcome that is new to the program is new to the table too."""
    rows = {(line[:7].strip(), line[7:26].strip()) for line in TABLE.strip().splitlines()[2:]}
    assert rows == {(lease, name) for lease in LEASES for name in OUTCOMES}
    kinds = {type(outcome) for outcome in OUTCOMES.values()}
    assert kinds == set(Outcome.__args__)
    assert {status for status, _ in COLUMNS} == set(Health)


@pytest.mark.parametrize(
    ("reset_at", "until"),
    [
        (-1.0, NOW + 1.01),
        (NOW - 5.0, NOW + 1.01),
        (NOW, NOW + 1.01),
        (nan, NOW + 1.01),
        (NOW + 1.5, NOW + 1.515),
        (NOW + 20.0, NOW + 20.2),
        (NOW + 100.0, NOW + 101.0),
        (NOW + 30 * DAY, NOW + 30 * DAY + 1.0),
        (NOW + 32 * DAY, NOW + 31 * DAY + 1.0),
        (1e12, NOW + 31 * DAY + 1.0),
        (inf, NOW + 31 * DAY + 1.0),
    ],
)
@pytest.mark.parametrize("model", [None, "m"])
def test_a_named_reset_is_believed_within_bounds(reset_at, until, model):
    """A second at least and 31 days at most, as a monthly window may be that far away."""
    known = learn(state(), RateLimited(reset_at, model=model))
    assert pytest.approx(until, abs=1e-6) == (
        known.ready_at if model is None else known.model_ready_at["m"]
    )


@pytest.mark.parametrize("wait_s", [1.0, 3.0, 50.0, 99.0, 100.0, 101.0, 1e5])
def test_nobody_comes_back_before_a_reset_nor_long_after_it(wait_s):
    """Two seconds are the most, so that traffic is back within five."""
    now = 1_763_850_123.456_789
    reset_at = now + wait_s
    first = learn(state(), RateLimited(reset_at), now=now, rng=Edge(0.0)).ready_at
    last = learn(state(), RateLimited(reset_at), now=now, rng=Edge(1.0)).ready_at
    assert first == reset_at
    assert last == pytest.approx(reset_at + min(2.0, wait_s / 50), abs=1e-6)


def test_accounts_do_not_wake_in_the_same_instant():
    """A thousand of them spread over the jitter."""
    rests = [learn(state(), RateLimited(5_000.0), rng=Random(n)).ready_at for n in range(1_000)]
    assert len({round(until, 1) for until in rests}) == 21


def fail_and_wake(known: AccountState, outcome: Outcome, times: int) -> list[float]:
    """Return the rests of an account whose every probe ends with the outcome."""
    now, rests = max(NOW, known.ready_at), []
    for _ in range(times):
        known.turn += 1
        learn(known, outcome, number=known.turn, now=now)
        rests.append(known.ready_at - now)
        now = known.ready_at
        assert wake(known, now=now)
    return rests


@pytest.mark.parametrize(
    ("outcome", "rests"),
    [
        (RateLimited(None, burst=True), [3.75, 7.5, 15.0, 30.0, 45.0, 45.0]),
        (RateLimited(None), [330.0, 660.0, 1_320.0, 2_640.0, 3_960.0, 3_960.0]),
        (RateLimited(-1.0), [1.01, 2.02, 4.04, 8.08, 16.16, 32.32, 60.6, 60.6]),
        (RateLimited(NOW - 1.0, burst=True), [1.01, 2.02, 4.04, 8.08]),
    ],
)
def test_rests_grow_while_every_probe_fails(outcome, rests):
    """Up to a maximum; and they begin anew after a success."""
    known = state()
    grown = fail_and_wake(known, outcome, len(rests))
    assert grown == pytest.approx(rests)
    learn(known, Succeeded(0.1), number=known.turn + 1)
    assert fail_and_wake(known, outcome, 1) == pytest.approx(rests[:1])


@pytest.mark.parametrize("outcome", [RateLimited(None), RateLimited(None, burst=True)])
def test_a_thousand_failed_probes_are_no_overflow(outcome):
    """The rest stays at its maximum."""
    for strikes in (40, 10_000):
        known = learn(state(Health.PROBING, strikes=strikes), outcome)
        assert known.ready_at <= NOW + 4_000.0
        again = learn(state(Health.PROBING, strikes=strikes), RateLimited(-1.0))
        assert again.ready_at == pytest.approx(NOW + 60.6)


def test_the_third_break_in_a_row_rests_the_account():
    """A success between them starts the count anew; the rests after it grow with every probe."""
    known = state()
    for outcome in (Broken("cut", sent=True), Broken("cut", sent=False), Succeeded(0.1)):
        learn(known, outcome)
    for _ in range(2):
        learn(known, Broken("cut", sent=True))
    assert (known.health, known.breaks) == (Health.READY, 2)
    rests = fail_and_wake(known, Broken("cut", sent=True), 3)
    assert rests == [3.75, 7.5, 15.0]


def test_thirty_streams_cut_at_once_are_one_event():
    """The rest is that of the third break and grows no further, not even once it is over."""
    known = state()
    for _ in range(3):
        learn(known, Broken("cut", sent=True))
    rested = replace(known)
    for _ in range(14):
        learn(known, Broken("cut", sent=True), now=NOW + 1)
    assert known == rested
    assert wake(known, now=known.ready_at)
    woken = replace(known)
    for number in range(17, 31):
        learn(known, Broken("cut", sent=True), number=number, now=NOW + 60)
    assert known == woken


def test_a_late_success_wakes_nobody():
    """Neither during the rest nor during the probing, and it forgets no strike."""
    known = learn(state(), RateLimited(None, burst=True), number=29)
    for now in (NOW, known.ready_at - 0.001):
        learn(known, Succeeded(0.1), number=30, now=now)
        began(known, number=30)
        assert not wake(known, now=now)
    assert known.health is Health.COOLING
    assert wake(known, now=known.ready_at)
    learn(known, Succeeded(0.1), number=30, now=known.ready_at)
    began(known, number=30)
    assert (known.health, known.strikes) == (Health.PROBING, 1)
    began(known, number=31)
    assert (known.health, known.reason, known.strikes) == (Health.READY, "", 1)


@pytest.mark.parametrize("status", [status for status in Health if status != Health.PROBING])
def test_only_who_is_probed_becomes_ready_when_a_call_begins(status):
    """Also not the account whose probe was taken and that met a limit since."""
    known = state(status, REST)
    began(known, number=LEASES["fresh"])
    assert known == state(status, REST)


def test_a_lease_is_late_if_it_was_taken_before_the_last_rest():
    """Nobody's is before the first rest, and every rest counts, a hidden one too."""
    assert not late(AccountState(account()), 0)
    assert late(state(), 20)
    assert not late(state(), 21)
    known = learn(state(Health.BANNED, REST), RateLimited(3_000.0))
    assert late(known, 30)
    assert not late(known, 31)


def test_calls_from_before_a_rest_take_no_probes_place():
    """However long their streams run, one call can probe, and never two."""
    known = state(Health.COOLING, NOW, in_flight=3, rested_turn=30)
    assert wake(known, now=NOW)
    assert (known.stale, known.cap, known.full) == (3, 4, False)
    known.in_flight += 1
    assert known.full
    for number, left in ((28, 2), (29, 1), (30, 0)):
        known.in_flight -= 1
        learn(known, Abandoned(), number=number)
        assert (known.stale, known.cap, known.full) == (left, left + 1, True)
    learn(known, Abandoned(), number=30)
    assert known.stale == 0
    known.in_flight -= 1
    learn(known, Abandoned(), number=31)
    assert (known.stale, known.health, known.full) == (0, Health.PROBING, False)


@pytest.mark.parametrize("status", Health)
@pytest.mark.parametrize("ready_at", [NOW - 1, NOW, NOW + 0.001])
@pytest.mark.parametrize("paused_until", [0.0, NOW, NOW + 0.001])
def test_a_rest_ends_when_both_its_ends_have_passed(status, ready_at, paused_until):
    """Into probing, with a window of one call; and nothing but a rest ends by itself."""
    known = state(status, ready_at, paused_until=paused_until, in_flight=2, stale=7)
    before = replace(known)
    ends = status is Health.COOLING and max(ready_at, paused_until) <= NOW
    assert wake(known, now=NOW) is ends
    if not ends:
        assert known == before
        return
    assert known == replace(
        before,
        health=Health.PROBING,
        reason="on trial after a rest",
        stale=2,
        window=1.0,
        threshold=4.0,
    )


@pytest.mark.parametrize(
    ("status", "paused_until", "expected"),
    [
        (Health.READY, NOW, "same"),
        (Health.READY, NOW + 0.001, "paused"),
        (Health.PROBING, NOW, "same"),
        (Health.PROBING, NOW + 0.001, "paused"),
        (Health.COOLING, NOW, "woken"),
        (Health.COOLING, NOW + 0.001, "same"),
        (Health.EXPIRED, NOW, "same"),
        (Health.EXPIRED, NOW + 0.001, "same"),
        (Health.BANNED, NOW, "same"),
        (Health.BANNED, NOW + 0.001, "same"),
    ],
)
def test_the_health_follows_the_quota(status, paused_until, expected):
    """A pause begins and ends with it, and what is in flight when it begins is late."""
    known = state(status, NOW, paused_until=paused_until)
    before = replace(known)
    assert settle_rest(known, now=NOW) is (expected != "same")
    match expected:
        case "same":
            assert known == before
        case "paused":
            assert known == replace(
                before, health=Health.COOLING, reason="quota used up", rested_turn=30
            )
        case "woken":
            assert known.health is Health.PROBING


@pytest.mark.parametrize("status", Health)
@pytest.mark.parametrize(("ready_at", "paused_until"), [(NOW, NOW), (REST, 0.0), (0.0, REST)])
def test_a_new_credential_takes_an_account_back(status, ready_at, paused_until):
    """Into its rest, if that is not over; who was not out is not touched."""
    known = state(status, ready_at, paused_until=paused_until)
    before = replace(known)
    health.renewed(known, now=NOW)
    if status not in (Health.EXPIRED, Health.BANNED):
        assert known == before
    elif REST in (ready_at, paused_until):
        assert known == replace(
            before, health=Health.COOLING, reason="still resting", rested_turn=30
        )
        assert not wake(known, now=REST - 0.001)
        assert wake(known, now=REST)
    else:
        assert known == replace(before, health=Health.READY, reason="")


def test_who_comes_back_from_an_unseen_rest_starts_slowly():
    """As from any other: its limit and its dead credential were over together."""
    known = learn(state(Health.EXPIRED), RateLimited(NOW + 1.0))
    health.renewed(known, now=REST)
    assert (known.health, known.window, known.threshold) == (Health.READY, 1.0, 4.0)


@pytest.mark.parametrize("status", Health)
@pytest.mark.parametrize("dead", [True, False])
def test_a_credential_can_be_declared_useless(status, dead):
    """By whoever could not renew it; its rest is remembered, and who is banned stays banned."""
    known = state(status, REST)
    health.expired(known, "spent", dead=dead)
    gone = Health.BANNED if dead else Health.EXPIRED
    expected = (status, "why") if status is Health.BANNED else (gone, "spent")
    assert (known.health, known.reason) == expected
    assert known.ready_at == REST


@pytest.mark.parametrize("status", Health)
def test_an_operator_can_end_every_rest(status):
    """And a ban that only this process knows of; who comes back starts slowly."""
    rests = {"strikes": 4, "breaks": 2, "paused_until": REST, "model_ready_at": {"m": 9_000.0}}
    known = state(status, REST, **rests)
    health.reset(known)
    plain = state(status)
    if status in (Health.COOLING, Health.PROBING, Health.BANNED):
        plain = replace(plain, health=Health.READY, reason="", window=1.0, threshold=4.0)
    assert known == plain


def test_a_ban_that_the_store_holds_is_not_lifted_here():
    """It would come back at the next look at the store."""
    known = state(Health.BANNED)
    credential = replace(known.account.credential, refused="token_revoked")
    known.account = replace(known.account, credential=credential)
    health.reset(known)
    assert (known.health, known.reason) == (Health.BANNED, "why")


def test_a_model_rests_alone():
    """The account goes on serving the others; a rest that is over is forgotten."""
    known = learn(state(), Unsuited("m", "no"))
    until = NOW + 1_800.0
    assert serves(known, "m", now=until - 0.001) is False
    assert serves(known, "other", now=NOW) is True
    assert known.model_ready_at == {"m": until}
    assert serves(known, "m", now=until)
    assert known.model_ready_at == {}


@pytest.mark.parametrize(
    ("until", "outcome", "expected"),
    [
        (9_000.0, RateLimited(2_000.0, model="m"), 9_000.0),
        (9_000.0, Unsuited("m", "no"), 9_000.0),
        (9_000.0, RateLimited(None, model="m", burst=True), 9_000.0),
        (NOW + 1, RateLimited(None, model="m", burst=True), NOW + 1),
        (NOW, RateLimited(None, model="m", burst=True), NOW + 3.75),
        (NOW + 1, RateLimited(5_000.0, model="m"), 5_001.0),
        (NOW + 1, Unsuited("m", "no"), NOW + 1_800.0),
    ],
)
def test_a_models_rest_only_gets_longer(until, outcome, expected):
    """As an account's does; a burst during it counts for nothing."""
    known = learn(state(model_ready_at={"m": until}), outcome)
    assert known.model_ready_at == {"m": expected}
    assert known.strikes == (expected == NOW + 3.75)


def test_models_at_rest_are_bounded():
    """Stale ones go first, then whichever is oldest; a known one needs no room."""
    known = state(model_ready_at={f"m{n}": NOW + 1 + n for n in range(MODELS_MAX - 2)})
    known.model_ready_at |= {"past": NOW - 1, "due": NOW}
    learn(known, Unsuited("m5", "no"))
    assert len(known.model_ready_at) == MODELS_MAX
    learn(known, Unsuited("new", "no"))
    assert {"past", "due"}.isdisjoint(known.model_ready_at)
    assert len(known.model_ready_at) == MODELS_MAX - 1
    learn(known, Unsuited("newer", "no"))
    assert "m0" in known.model_ready_at
    learn(known, Unsuited("newest", "no"))
    assert "m0" not in known.model_ready_at
    assert len(known.model_ready_at) == MODELS_MAX


def test_a_rest_that_was_over_before_the_clock_was_set_back_makes_no_other_longer():
    """Nor does its end, which lies ahead again, keep the account in use."""
    known = state(ready_at=5_000.0)
    after(known, RateLimited(1_500.0), number=1, now=1_000.0, rng=Half())
    assert known.health is Health.COOLING
    assert 1_500.0 <= known.ready_at <= 1_502.0


def test_an_outcome_that_nobody_thought_of_is_a_defect():
    """The type checker finds it first."""
    with pytest.raises(AssertionError):
        learn(state(), "surprise")


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([*OUTCOMES.values(), "wake", "pause", "renew", "lease"]),
            st.integers(0, 40),
            st.floats(0.0, 400.0),
        ),
        max_size=60,
    ),
    seed=st.integers(),
)
def test_whatever_happens_a_rest_only_grows_and_is_kept(steps, seed):
    """Who is ready or probing rests no more, who cools is the one that rests."""
    rng, now = Random(seed), NOW
    known = state(turn=0, rested_turn=-1)
    for step, back, passed_s in steps:
        before, now = known.ready_at, now + passed_s
        match step:
            case "wake":
                wake(known, now=now)
            case "pause":
                known.paused_until = now + passed_s - 200.0
                settle_rest(known, now=now)
            case "renew":
                health.renewed(known, now=now)
            case "lease":
                known.turn += 1
            case _:
                after(known, step, number=known.turn - back, now=now, rng=rng)
        assert known.ready_at >= before
        if known.health in (Health.READY, Health.PROBING):
            assert known.rests_until <= now
