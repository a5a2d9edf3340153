"""The size of a window is learnt from what is seen of it being used."""

from math import inf

import pytest

from app.domain.quota import Credits
from app.pool.burn import Burn
from app.pool.meters import (
    LEARNT_MAX,
    PEERS_MAX,
    PEERS_SHARE,
    Meter,
    Scale,
    filled,
    learnt,
    window_name,
)
from app.pool.state import AccountState, Gauge
from app.pool.tanks import Level, Tank
from tests.fakes.accounts import account

NOW = 10_000.0
HOURS_5 = 300 * 60.0


def gauge(used_ratio: float, reset_at: float | None = NOW + 600, **changes) -> Gauge:
    """Return a quota window that was heard of now."""
    return Gauge(used_ratio, reset_at, seen_at=NOW, began_at=0.0, **changes)


def state(windows=None, *, plan: str | None = "plus", tokens: int = 0, **changes) -> AccountState:
    """Return the state of an account with windows of the main family by their minutes."""
    found = {("codex", minutes): each for minutes, each in (windows or {}).items()}
    return AccountState(account("a", plan=plan), windows=found, tokens=tokens, **changes)


def meter(seen: AccountState) -> Meter:
    """Return a meter that has heard of the account once."""
    made = Meter(Burn(0.0), 0.0, 0)
    made.hear(seen, now=1.0)
    return made


def knowing(size: float, *, minutes: int = 300, plan: str | None = "plus"):
    """Return an account and its meter, which has learnt that the window has this size."""
    seen = state({minutes: gauge(0.0)}, plan=plan)
    made = meter(seen)
    seen.windows["codex", minutes] = gauge(0.5)
    seen.tokens = round(size / 2)
    made.hear(seen, now=60.0)
    return seen, made


def tank(seen, made=None, peers=None, *, pause_at=1.0):
    """Return the account as a tank."""
    return filled(seen, made, peers or {}, pause_at=pause_at, now=NOW)


def test_a_size_follows_from_the_share_that_some_tokens_took():
    """A tenth of the window took a thousand tokens."""
    scale = Scale(0.2, NOW, 500)
    scale.hear(gauge(0.2, NOW), 900)
    assert scale.size is None
    scale.hear(gauge(0.3, NOW + 1), 1_500)
    assert scale.size == pytest.approx(10_000)


@pytest.mark.parametrize("reset_at", [NOW + 3_600, None])
def test_what_lies_across_a_reset_teaches_nothing(reset_at):
    """Neither does a share that fell; both are where the next lesson begins."""
    scale = Scale(0.5, NOW, 0)
    scale.hear(gauge(0.6, reset_at), 100)
    assert scale.learnt == 0
    scale.hear(gauge(0.1, reset_at), 200)
    assert scale.learnt == 0
    scale.hear(gauge(0.2, reset_at), 300)
    assert scale.size == pytest.approx(1_000)


def test_a_window_whose_reset_nobody_names_teaches_too():
    """Both times none is the same window."""
    scale = Scale(0.0, None, 0)
    scale.hear(gauge(0.1, None), 100)
    assert scale.size == pytest.approx(1_000)


def test_old_lessons_fade():
    """Twice the tokens for the same share, in the end."""
    scale = Scale(0.0, NOW, 0)
    tokens = 0
    for step in range(1, 40):
        tokens += 100 if step < 10 else 200
        scale.hear(gauge(step * 0.2, NOW), tokens)
    assert scale.learnt <= LEARNT_MAX
    assert scale.size == pytest.approx(1_000, rel=0.05)


def test_the_word_of_others_counts_until_there_is_an_own_one():
    """And a little after."""
    scale = Scale(0.0, NOW, 0)
    assert scale.size_among(None) is None
    assert scale.size_among(500.0) == 500.0
    scale.hear(gauge(PEERS_SHARE, NOW), 20)
    assert scale.size_among(None) == pytest.approx(1_000)
    assert scale.size_among(500.0) == pytest.approx(750)


def test_a_meter_tells_what_was_spent_since_the_last_time():
    """It notes it in its memory, too."""
    seen = state({300: gauge(0.1)}, tokens=70)
    made = Meter(Burn(0.0), 0.0, 50)
    assert made.hear(seen, now=60.0) == 20
    assert made.hear(seen, now=120.0) == 0
    assert (made.burn.spent, made.heard_at) == (20, 120.0)


def test_a_meter_has_a_scale_for_each_window_that_limits_the_whole_account():
    """Not for those of other families or without a length, nor for those that are gone."""
    seen = state({300: gauge(0.1), 10_080: gauge(0.1), 0: gauge(1.0)})
    seen.windows["spark", 300] = gauge(0.1)
    made = meter(seen)
    assert list(made.scales) == [300, 10_080]
    for gone in (300, 0):
        del seen.windows["codex", gone]
    del seen.windows["spark", 300]
    made.hear(seen, now=60.0)
    assert list(made.scales) == [10_080]


def test_accounts_of_one_plan_teach_each_other_the_median():
    """Other plans have other windows; who knows nothing says nothing."""
    pairs = [knowing(1_000), knowing(3_000), knowing(2_000), knowing(9_000, plan=None)]
    pairs += [(state({300: gauge(0.5)}), None), (state({300: gauge(0.5)}), meter(state()))]
    unsure = state({300: gauge(0.5)})
    pairs.append((unsure, meter(unsure)))
    peers = learnt({("plus", 300): 1.0, ("free", 300): 7.0}, pairs)
    assert peers == {("plus", 300): 2_000.0, (None, 300): 9_000.0, ("free", 300): 7.0}


def test_what_is_known_of_plans_is_bounded():
    """What is known now stays, the rest goes."""
    old = {(f"p{number}", 300): 1.0 for number in range(PEERS_MAX)}
    peers = learnt(old, [knowing(1_000, plan="new")])
    assert len(peers) == PEERS_MAX
    assert peers["new", 300] == 1_000


def test_an_account_is_a_tank_with_a_level_for_each_window():
    """What is left now, what there is after the reset, and when that is."""
    seen, made = knowing(1_000)
    found = tank(seen, made)
    assert found.tank == Tank((Level("5h", 500.0, 1_000.0, 600.0, HOURS_5),))
    assert found.told
    assert 0 < found.doubt < 0.01


def test_what_is_paused_early_holds_less():
    """The operator's threshold is the bottom."""
    seen, made = knowing(1_000)
    (level,) = tank(seen, made, pause_at=0.8).tank.levels
    assert (level.left, level.size) == (pytest.approx(300.0), 800.0)


@pytest.mark.parametrize(
    ("window", "left", "reset_s"),
    [
        (gauge(0.5, NOW - 5), 1_000.0, HOURS_5),
        (gauge(0.5, NOW - 0.5), 500.0, 0.0),
        (gauge(0.5, None), 500.0, HOURS_5),
    ],
)
def test_a_reset_that_is_over_or_not_named(window, left, reset_s):
    """The first is a full window; the second comes after a whole length at the latest."""
    seen = state({300: window})
    (level,) = tank(seen, None, {("plus", 300): 1_000.0}).tank.levels
    assert (level.left, level.reset_s) == (left, reset_s)


def test_the_tightest_window_says_how_sure_it_is():
    """Nearly empty means that a percent of rounding is much; an empty one is certain."""
    peers = {("plus", 300): 1_000.0, ("plus", 10_080): 1_000.0}
    doubts = [
        tank(state({300: gauge(used), 10_080: gauge(0.2)}), None, peers).doubt
        for used in (0.1, 0.5, 0.95, 1.0)
    ]
    assert doubts[3] == doubts[0] < doubts[1] < doubts[2]


def test_an_account_that_rests_opens_when_its_rest_is_over():
    """Whatever put it to rest."""
    peers = {("plus", 300): 1_000.0}
    resting = state({300: gauge(0.1)}, ready_at=NOW + 5, paused_until=NOW + 9)
    assert tank(resting, None, peers).tank.opens_s == 9
    assert tank(state({300: gauge(0.1)}), None, peers).tank.opens_s == 0


@pytest.mark.parametrize(
    ("paid", "levels"),
    [
        (Credits(available=True), 0),
        (Credits(available=False, unlimited=True), 0),
        (Credits(available=False), 1),
    ],
)
def test_credits_are_taken_to_last(paid, levels):
    """An account that has some is never used up."""
    seen = state({300: gauge(0.9)}, credits=paid)
    assert len(tank(seen, None, {("plus", 300): 1_000.0}).tank.levels) == levels


def test_an_account_that_the_upstream_never_spoke_of_is_like_its_plan():
    """Full, and marked as a guess."""
    peers = {("plus", 300): 1_000.0, ("free", 43_200): 5.0, ("plus", 10_080): 4_000.0}
    found = tank(state(), None, peers, pause_at=0.5)
    assert [(level.name, level.left) for level in found.tank.levels] == [
        ("5h", 500.0),
        ("7d", 2_000.0),
    ]
    assert not found.told


def test_an_account_of_which_nothing_is_known_is_no_tank():
    """Neither its own past nor its plan says how much it holds."""
    assert tank(state({300: gauge(0.5)})) is None
    assert tank(state(), None, {("free", 300): 1.0}) is None


@pytest.mark.parametrize(
    ("minutes", "name"), [(0, "unknown"), (300, "5h"), (10_080, "7d"), (43_200, "30d"), (90, "90m")]
)
def test_a_window_is_named_by_its_length(minutes, name):
    """In the largest unit that divides it."""
    assert window_name(minutes) == name


def test_a_tank_without_levels_is_never_empty():
    """Credits are not drained."""
    assert tank(state(credits=Credits(available=True))).tank.opens_s < inf
