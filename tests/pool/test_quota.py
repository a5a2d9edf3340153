"""What upstreams say about limits pauses an account, and nothing that they say rests it forever."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from app.domain.quota import MAIN_FAMILY, RESET_SLACK_S, Credits, QuotaView, QuotaWindow
from app.pool.quota import (
    BACKED_HEADROOM,
    NEARLY_FULL,
    SAME_WINDOW_S,
    UNNAMED_LIMIT_S,
    UNNAMED_RESET_S,
    ends_at,
    headroom,
    hear,
    model_pauses,
    paused,
    spend,
)
from app.pool.state import WINDOWS_MAX, AccountState
from tests.fakes.accounts import account

NOW = 1_800_000_000.0
HOUR = 3600.0
OTHER = "codex-bengalfox"


def window(used=0.5, *, minutes=300, reset_s=HOUR, family=MAIN_FAMILY):
    """Return a window that ends so long after `NOW`; None for one that names no end."""
    return QuotaWindow(family, minutes, used, None if reset_s is None else NOW + reset_s)


def told(state, *windows, at=NOW, pause_at=1.0, final=False, **said):
    """Let the account hear of windows, and of whatever else; return it."""
    hear(state, QuotaView(windows=windows, **said), pause_at=pause_at, now=at, final=final)
    return state


def test_how_long_is_believed_what_nobody_has_named():
    """Long enough not to hammer, short enough to notice a mistake."""
    named = (RESET_SLACK_S, SAME_WINDOW_S, UNNAMED_LIMIT_S, UNNAMED_RESET_S)
    assert named == (1, 60, 60, 300)
    assert (NEARLY_FULL, BACKED_HEADROOM) == (0.9, 0.02)


@pytest.fixture
def state():
    """An account of which nothing is known."""
    return AccountState(account())


def left(state, *, family=MAIN_FAMILY, at=NOW):
    """Return the headroom."""
    return headroom(state, family=family, now=at)


def test_nothing_said_changes_nothing(state):
    """An empty view leaves no trace."""
    told(state)
    assert state == AccountState(account())
    assert left(state) == 1.0


def test_a_window_is_kept_under_its_family_and_length(state):
    """The slot in which it stood is not known here; what is said again replaces it."""
    told(state, window(0.4), window(0.2, minutes=10080))
    told(state, window(0.45), window(0.1, family=OTHER), at=NOW + 5)
    assert set(state.windows) == {("codex", 300), ("codex", 10080), (OTHER, 300)}
    gauge = state.windows["codex", 300]
    assert (gauge.used_ratio, gauge.seen_at) == (0.45, NOW + 5)
    assert (gauge.reset_at, gauge.began_at) == (NOW + HOUR, NOW - 4 * HOUR)
    assert state.heard_at == NOW + 5


@pytest.mark.parametrize(
    ("minutes", "reset_s", "began_s"),
    [(300, HOUR, -4 * HOUR), (300, 6 * HOUR, 0.0), (0, HOUR, 0.0), (300, None, 0.0)],
)
def test_a_window_began_its_length_before_its_reset(state, minutes, reset_s, began_s):
    """Never in the future; and now, if nobody said how long it is or when it ends."""
    told(state, window(minutes=minutes, reset_s=reset_s))
    assert state.windows["codex", minutes].began_at == NOW + began_s


def test_the_tightest_window_counts(state):
    """Of the main family and of the model's own."""
    told(state, window(0.3), window(0.6, minutes=10080), window(0.9, family=OTHER))
    assert left(state) == pytest.approx(0.4)
    assert left(state, family=OTHER) == pytest.approx(0.1)
    assert left(state, family="codex-unknown") == pytest.approx(0.4)


def test_a_window_whose_reset_has_passed_is_empty(state):
    """Until somebody says otherwise."""
    told(state, window(1.0))
    assert left(state) == 0.0
    assert left(state, at=NOW + HOUR + RESET_SLACK_S) == 1.0


@pytest.mark.parametrize(
    ("reset_s", "until_s"), [(HOUR, HOUR + RESET_SLACK_S), (None, UNNAMED_RESET_S)]
)
def test_a_full_window_pauses_until_it_ends(state, reset_s, until_s):
    """One whose end nobody named for five minutes."""
    told(state, window(1.0, reset_s=reset_s))
    assert state.paused_until == NOW + until_s
    assert ends_at(state.windows["codex", 300]) == NOW + until_s


def test_of_several_full_windows_the_last_to_end_counts(state):
    """One that is not full does not."""
    told(state, window(1.2), window(1.0, minutes=60, reset_s=60), window(0.9, minutes=10080))
    assert state.paused_until == NOW + HOUR + RESET_SLACK_S


@pytest.mark.parametrize(("used", "pauses"), [(0.79, False), (0.8, True)])
def test_the_operators_threshold_pauses_early(state, used, pauses):
    """At the share itself."""
    told(state, window(used), pause_at=0.8)
    assert (state.paused_until > NOW) is pauses


def test_another_threshold_changes_the_pause(state):
    """A higher one ends it, a lower one brings it back, and none outlives the window."""
    told(state, window(0.85), pause_at=0.8)
    paused(state, pause_at=0.9, now=NOW)
    assert state.paused_until == 0.0
    paused(state, pause_at=0.8, now=NOW)
    assert state.paused_until > NOW
    paused(state, pause_at=0.8, now=NOW + HOUR + RESET_SLACK_S)
    assert state.paused_until == 0.0


def test_news_of_an_early_reset_ends_the_pause(state):
    """But not the rest after a refusal."""
    told(state, window(1.0))
    state.ready_at = NOW + HOUR
    told(state, window(0.0, reset_s=5 * HOUR), at=NOW + 10, allowed=True, limit_reached=False)
    assert (state.paused_until, state.ready_at) == (0.0, NOW + HOUR)


@pytest.mark.parametrize("purse", [Credits(available=True), Credits(False, unlimited=True)])
def test_credits_keep_an_exhausted_account_in_use(state, purse):
    """It is dear, but it is neither paused nor empty; without them it is."""
    told(state, window(1.0), window(1.0, family=OTHER), credits=purse)
    assert state.paused_until == 0.0
    assert left(state) == BACKED_HEADROOM
    assert model_pauses(state, {"m": OTHER}, pause_at=1.0, now=NOW) == {}
    told(state, window(1.0))
    assert state.paused_until == 0.0, "a reply that says nothing of credits takes none away"
    told(state, credits=Credits(available=False))
    assert state.paused_until > NOW
    assert left(state) == 0.0


def test_a_reset_that_moves_on_begins_a_new_window(state):
    """By more than a minute; what was spent in the old one is forgotten."""
    told(state, window(0.5))
    spend(state, 100, family=MAIN_FAMILY, now=NOW)
    told(state, window(0.5, reset_s=HOUR + 60), at=NOW + 1)
    gauge = state.windows["codex", 300]
    assert (gauge.tokens, gauge.requests) == (100, 1)
    told(state, window(0.1, reset_s=HOUR + 121), at=NOW + 2)
    assert (gauge.tokens, gauge.requests) == (0, 0)
    assert gauge.began_at == NOW + HOUR + 121 - 5 * HOUR
    assert gauge.used_ratio == 0.1


@pytest.mark.parametrize(
    ("reset_s", "fresh"),
    [(HOUR + 30, True), (HOUR + RESET_SLACK_S, False), (None, True), (HOUR, False)],
)
def test_after_its_reset_any_other_reset_is_that_of_a_new_window(state, reset_s, fresh):
    """Even one that is close to the old one; the old one told late or rounded is not."""
    told(state, window(0.5))
    spend(state, 100, family=MAIN_FAMILY, now=NOW)
    told(state, window(0.1, reset_s=reset_s), at=NOW + HOUR + 0.5)
    gauge = state.windows["codex", 300]
    assert gauge.tokens == (0 if fresh else 100)
    assert gauge.reset_at == (None if reset_s is None else NOW + reset_s)


def test_a_reset_that_is_not_named_again_is_still_known(state):
    """And one that was not known is learnt without a new window."""
    told(state, window(0.5, reset_s=None))
    spend(state, 7, family=MAIN_FAMILY, now=NOW)
    told(state, window(0.6))
    told(state, window(0.7, reset_s=None), at=NOW + 1)
    gauge = state.windows["codex", 300]
    assert (gauge.reset_at, gauge.used_ratio, gauge.tokens) == (NOW + HOUR, 0.7, 7)


def test_what_is_spent_counts_in_the_family_that_meters_it(state):
    """In all its windows, and in no other's."""
    told(
        state,
        window(),
        window(minutes=10080),
        window(family=OTHER),
        window(reset_s=None, minutes=0),
    )
    spend(state, 40, family=MAIN_FAMILY, now=NOW)
    spend(state, 2, family=MAIN_FAMILY, now=NOW)
    spend(state, 5, family=OTHER, now=NOW)
    counts = {key: (gauge.tokens, gauge.requests) for key, gauge in state.windows.items()}
    assert counts == {
        ("codex", 300): (42, 2),
        ("codex", 10080): (42, 2),
        ("codex", 0): (42, 2),
        (OTHER, 300): (5, 1),
    }


def test_what_is_spent_after_the_reset_counts_in_the_next_window(state):
    """Before and after the upstream speaks of it."""
    told(state, window(0.9))
    spend(state, 40, family=MAIN_FAMILY, now=NOW)
    after = NOW + HOUR + RESET_SLACK_S
    spend(state, 3, family=MAIN_FAMILY, now=after)
    gauge = state.windows["codex", 300]
    assert (gauge.tokens, gauge.requests, gauge.began_at) == (3, 1, NOW + HOUR)
    assert (gauge.used_ratio, gauge.reset_at) == (0.0, None)
    told(state, window(0.01, reset_s=6 * HOUR), at=after + 1)
    assert (gauge.tokens, gauge.reset_at) == (3, NOW + 6 * HOUR)


@pytest.mark.parametrize(
    ("said", "reached"),
    [
        ({"limit_reached": True}, True),
        ({"allowed": False}, True),
        ({"allowed": False, "limit_reached": False}, True),
        ({"reached_type": "workspace_member_usage_limit_reached"}, True),
        ({"reached_type": "rate_limit_reached", "limit_reached": False}, False),
        ({"allowed": True}, False),
        ({"plan": "plus"}, False),
    ],
)
def test_the_upstreams_own_judgement_counts(state, said, reached):
    """A limit that no window explains pauses for a minute and not for longer."""
    told(state, window(0.2), **said)
    assert state.paused_until == (NOW + UNNAMED_LIMIT_S + RESET_SLACK_S if reached else 0.0)


def test_a_reached_limit_is_that_of_the_windows_that_are_nearly_full(state):
    """Percentages are rounded; the last of them to end counts, and one that has ended does not."""
    told(state, window(1.0, minutes=60, reset_s=-HOUR))
    told(
        state,
        window(NEARLY_FULL, minutes=10080, reset_s=48 * HOUR),
        window(0.95),
        window(0.89, minutes=43200, reset_s=900 * HOUR),
        limit_reached=True,
    )
    assert state.paused_until == NOW + 48 * HOUR + RESET_SLACK_S
    assert ("codex", 0) not in state.windows
    assert left(state) == 0.0


def test_a_full_window_that_has_just_ended_explains_no_limit(state):
    """The account is tried again in a minute, not after another whole window."""
    told(state, window(1.0))
    ended = NOW + HOUR + RESET_SLACK_S
    told(state, limit_reached=True, at=ended)
    assert state.paused_until == ended + UNNAMED_LIMIT_S + RESET_SLACK_S


def test_a_limit_that_is_reached_again_and_again_pauses_a_minute_each_time(state):
    """The pause ends, so that the account is tried."""
    told(state, limit_reached=True)
    told(state, limit_reached=True, at=NOW + 30)
    assert state.paused_until == NOW + UNNAMED_LIMIT_S + RESET_SLACK_S
    told(state, limit_reached=True, at=NOW + 90)
    assert state.paused_until == NOW + 90 + UNNAMED_LIMIT_S + RESET_SLACK_S


def test_a_limit_of_another_family_pauses_only_its_models(state):
    """Its windows or, if none explains it, for a minute."""
    families = {"m1": OTHER, "m2": MAIN_FAMILY, "m3": OTHER, "m4": "codex-third"}
    told(state, window(0.3), active_family=OTHER, limit_reached=True)
    assert state.paused_until == 0.0
    short = NOW + UNNAMED_LIMIT_S + RESET_SLACK_S
    assert model_pauses(state, families, pause_at=1.0, now=NOW) == {"m1": short, "m3": short}
    told(state, window(1.0, family=OTHER), window(0.9, family=OTHER, minutes=60, reset_s=60))
    until = NOW + HOUR + RESET_SLACK_S
    assert model_pauses(state, families, pause_at=0.8, now=NOW) == {"m1": until, "m3": until}
    assert model_pauses(state, families, pause_at=1.0, now=until) == {}


def test_a_limit_that_no_window_explained_ends_with_the_judgement(state):
    """Unless the same view speaks of that window itself."""
    told(state, limit_reached=True)
    told(state, limit_reached=False, at=NOW + 1)
    assert state.windows == {}
    assert state.paused_until == 0.0
    told(state, window(1.0, minutes=0), allowed=True, at=NOW + 2)
    assert state.paused_until == NOW + HOUR + RESET_SLACK_S
    told(state, window(0.4, minutes=0), at=NOW + 3, final=True)
    told(state, window(0.4), allowed=True, at=NOW + 4)
    assert ("codex", 0) in state.windows, "it was not full"


def test_windows_are_bounded(state):
    """The one heard of longest ago goes; those of one and the same view do not oust each other."""
    told(state, window(0.1, minutes=1), at=NOW - 1)
    told(state, *(window(0.1, minutes=minutes) for minutes in range(2, WINDOWS_MAX + 5)))
    assert [minutes for _, minutes in state.windows] == list(range(2, WINDOWS_MAX + 2))


@pytest.mark.parametrize("used", [math.nan, math.inf, -math.inf])
def test_a_share_that_is_no_number_is_not_taken_over(state, used):
    """Whoever let it in."""
    told(state, window(used), plan="plus")
    assert state.windows == {}


@pytest.mark.parametrize("reset_at", [math.nan, math.inf, -1.0, 0.0, NOW + 400 * 86_400.0])
def test_a_reset_that_can_not_be_is_none(state, reset_at):
    """The pause is a short one."""
    told(state, structs.replace(window(1.0), reset_at=reset_at))
    assert state.windows["codex", 300].reset_at is None
    assert state.paused_until == NOW + UNNAMED_RESET_S


_windows = st.builds(
    QuotaWindow,
    family=st.sampled_from([MAIN_FAMILY, OTHER]),
    minutes=st.sampled_from([0, 1, 300, 10080]),
    used_ratio=st.floats(),
    reset_at=st.none() | st.floats() | st.floats(NOW - 100, NOW + 1e6),
)
_views = st.builds(
    QuotaView,
    windows=st.lists(_windows, max_size=4).map(tuple),
    active_family=st.sampled_from([None, MAIN_FAMILY, OTHER]),
    allowed=st.sampled_from([None, True, False]),
    limit_reached=st.sampled_from([None, True, False]),
    reached_type=st.sampled_from([None, "rate_limit_reached"]),
    credits=st.sampled_from([None, Credits(available=False), Credits(available=True)]),
)


@given(st.lists(st.tuples(_views, st.floats(0, 1e5)), max_size=12), st.floats(0.01, 1))
def test_no_view_pauses_without_end(views, pause_at):
    """Whatever is heard: numbers stay within their bounds, and every pause ends by itself."""
    state, now = AccountState(account()), NOW
    for view, pause_s in views:
        now += pause_s
        hear(state, view, pause_at=pause_at, now=now)
    assert 0.0 <= left(state, at=now) <= 1.0
    assert math.isfinite(state.paused_until)
    assert state.paused_until <= now + 366 * 86_400 + RESET_SLACK_S
    assert len(state.windows) <= WINDOWS_MAX
    for gauge in state.windows.values():
        assert 0.0 <= gauge.used_ratio <= 10.0
        assert gauge.began_at <= now
    paused(state, pause_at=pause_at, now=max(now, state.paused_until))
    assert state.paused_until == 0.0


@pytest.mark.parametrize(
    ("reset_s", "final", "at", "expected"),
    [
        (HOUR, False, NOW + 1, 0.9),
        (HOUR + SAME_WINDOW_S, False, NOW + 1, 0.9),
        (None, False, NOW + 1, 0.9),
        (HOUR, True, NOW + 1, 0.2),
        (5 * HOUR, False, NOW + 1, 0.2),
        (6 * HOUR, False, NOW + HOUR + 2, 0.2),
    ],
    ids=["a late reply", "a moved reset", "no reset", "the endpoint", "the next", "after the end"],
)
def test_only_the_usage_endpoint_makes_less_of_a_window_used(state, reset_s, final, at, expected):
    """Replies overtake each other, and an older one must not end a pause; a new window may."""
    told(state, window(0.9))
    told(state, window(0.2, reset_s=reset_s), at=at, final=final)
    assert state.windows["codex", 300].used_ratio == expected


def test_a_window_without_a_reset_is_believed_for_a_while_only(state):
    """Then even a reply may make less of it used."""
    told(state, window(0.9, reset_s=None))
    told(state, window(0.2, reset_s=None), at=NOW + UNNAMED_RESET_S - 1)
    assert state.windows["codex", 300].used_ratio == 0.9
    told(state, window(0.2, reset_s=None), at=NOW + 2 * UNNAMED_RESET_S - 1)
    assert state.windows["codex", 300].used_ratio == 0.2
