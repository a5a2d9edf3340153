"""Limits are read from headers and events, and no number is believed that can't be."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.quota import Credits, QuotaView, QuotaWindow
from app.wire.durations import DURATION_S_MAX
from app.wire.quota import MINUTES_MAX, WINDOWS_MAX, quota, quota_event, retry_after_s

NOW = 1_784_900_000.0
YEAR = DURATION_S_MAX
HTTP_DATE = "Fri, 24 Jul 2026 13:35:00 GMT"
HTTP_DATE_S = 1_784_900_100.0


def window(metric: str, value: str) -> list[QuotaWindow]:
    """Return the windows of a reply whose primary window has this metric besides its use."""
    headers = [
        ("x-codex-primary-used-percent", "50"),
        ("x-codex-primary-window-minutes", "300"),
        (f"x-codex-primary-{metric}", value),
    ]
    return list(quota(dict(headers).items(), now=NOW).windows)


def test_all_that_headers_say_is_read():
    """Two windows, another family, the active limit, plan and credits."""
    view = quota(
        [
            ("content-type", "text/event-stream"),
            ("x-codex-primary-used-percent", "37.5"),
            ("x-codex-primary-window-minutes", "300"),
            ("x-codex-primary-reset-at", str(int(NOW) + 60)),
            ("x-codex-secondary-used-percent", "120"),
            ("x-codex-secondary-window-minutes", "10080"),
            ("x-codex-secondary-reset-after-seconds", "90"),
            ("x-codex-bengalfox-primary-used-percent", "1"),
            ("x-codex-bengalfox-primary-window-minutes", "10080"),
            ("x-codex-primary-over-secondary-limit-percent", "15"),
            ("x-codex-active-limit", "codex_bengalfox"),
            ("x-codex-allowed", "true"),
            ("x-codex-limit-reached", "0"),
            ("x-codex-rate-limit-reached-type", "rate_limit_reached"),
            ("x-codex-plan-type", "plus"),
            ("x-codex-credits-has-credits", "1"),
            ("x-codex-credits-unlimited", "False"),
            ("x-codex-credits-balance", "12.50"),
        ],
        now=NOW,
    )
    assert view == QuotaView(
        windows=(
            QuotaWindow("codex", 300, 0.375, NOW + 60),
            QuotaWindow("codex", 10080, 1.2, NOW + 90),
            QuotaWindow("codex-bengalfox", 10080, 0.01, None),
        ),
        active_family="codex-bengalfox",
        allowed=True,
        limit_reached=False,
        reached_type="rate_limit_reached",
        plan="plus",
        credits=Credits(available=True, unlimited=False, balance="12.50"),
    )


def test_a_reply_without_limits_says_nothing():
    """No header, empty view."""
    assert quota([("x-request-id", "1"), ("date", "x")], now=NOW).empty


@pytest.mark.parametrize(
    ("value", "ratio"),
    [("-1", 0.0), ("0", 0.0), ("100", 1.0), ("1e12", 10.0), (" 50 ", 0.5)],
)
def test_a_used_share_is_clamped(value, ratio):
    """Below nothing and above ten times everything there is nothing."""
    assert window("used-percent", value)[0].used_ratio == ratio


@pytest.mark.parametrize("value", ["", "NaN", "inf", "many", "1,5", HTTP_DATE])
def test_a_window_without_a_used_share_is_no_window(value):
    """Without the number there is nothing to plan with."""
    assert window("used-percent", value) == []


@pytest.mark.parametrize(
    ("value", "minutes"),
    [
        ("43200", 43200),
        ("300.0", 300),
        ("0", 0),
        ("-300", 0),
        ("NaN", 0),
        ("1e12", 0),
        (str(MINUTES_MAX), MINUTES_MAX),
        (str(MINUTES_MAX + 1), 0),
    ],
)
def test_a_window_of_no_length_is_of_unknown_length(value, minutes):
    """Its use still counts."""
    assert window("window-minutes", value) == [QuotaWindow("codex", minutes, 0.5, None)]


@pytest.mark.parametrize(
    ("value", "reset_at"),
    [
        (str(NOW + 5), NOW + 5),
        (str(NOW - 5), NOW),
        (HTTP_DATE, HTTP_DATE_S),
        ("-1", None),
        ("0", None),
        ("1e12", None),
        ("NaN", None),
        ("tomorrow", None),
        ("Fri, 99 Jul 99999999 99:99:99 GMT", None),
    ],
)
def test_a_reset_is_a_moment_within_a_year(value, reset_at):
    """The past is now; what can't be was not said."""
    assert window("reset-at", value)[0].reset_at == reset_at


@pytest.mark.parametrize(
    ("value", "reset_at"),
    [("0", NOW), ("90", NOW + 90), ("-1", None), ("1e12", None), ("NaN", None)],
)
def test_a_delay_to_the_reset_counts_from_now(value, reset_at):
    """It is the fallback of the moment."""
    assert window("reset-after-seconds", value)[0].reset_at == reset_at


def test_a_nonsense_moment_falls_back_to_the_delay():
    """Both spellings may be there; the first sane one counts."""
    view = quota(
        [
            ("x-codex-primary-used-percent", "1"),
            ("x-codex-primary-reset-at", "-1"),
            ("x-codex-primary-reset-after-seconds", "7"),
        ],
        now=NOW,
    )
    assert view.windows == (QuotaWindow("codex", 0, 0.01, NOW + 7),)


def test_a_placeholder_is_no_window():
    """Zero used of no length until no time is the backend's way to say nothing."""
    assert quota([("x-codex-secondary-used-percent", "0")], now=NOW).windows == ()


def test_of_a_name_that_stands_twice_the_first_counts():
    """Nothing added behind can change what was read."""
    twice = [("x-codex-primary-used-percent", "10"), ("x-codex-primary-used-percent", "99")]
    assert [w.used_ratio for w in quota(twice, now=NOW).windows] == [0.1]


def test_windows_are_bounded():
    """A reply with endless families takes bounded memory."""
    headers = [(f"x-f{n}-primary-used-percent", "5") for n in range(WINDOWS_MAX * 3)]
    assert len(quota(headers, now=NOW).windows) == WINDOWS_MAX


def event(**fields: object) -> QuotaView:
    """Return what an event with these fields says."""
    data = json.dumps({"type": "codex.rate_limits"} | fields).encode()
    return quota_event(data, now=NOW, active_family="codex-other")


def test_all_that_an_event_says_is_read():
    """Its own limit, others, plan and credits."""
    view = event(
        plan_type="plus",
        rate_limits={
            "allowed": True,
            "limit_reached": False,
            "primary": {"used_percent": 42.0, "window_minutes": 300, "reset_at": NOW + 9},
            "secondary": None,
        },
        additional_rate_limits={
            "GPT-5.3-Codex-Spark": {"primary": {"used_percent": 2, "window_minutes": 10080}},
            "none": None,
            " ": {"secondary": {"used_percent": 3, "window_minutes": 60}},
        },
        credits={"has_credits": False, "unlimited": False, "balance": 0},
        metered_limit_name="codex",
    )
    assert view == QuotaView(
        windows=(
            QuotaWindow("codex", 300, 0.42, NOW + 9),
            QuotaWindow("gpt-5.3-codex-spark", 10080, 0.02, None),
            QuotaWindow("codex", 60, 0.03, None),
        ),
        active_family="codex",
        allowed=True,
        limit_reached=False,
        plan="plus",
        credits=Credits(available=False, balance="0"),
    )


def test_an_event_that_names_no_limit_means_the_active_one():
    """Otherwise a model's own limit would overwrite the main one."""
    view = event(rate_limits={"primary": {"used_percent": 1}})
    assert view.windows == (QuotaWindow("codex-other", 0, 0.01, None),)
    alone = quota_event(b'{"rate_limits":{"primary":{"used_percent":1}}}', now=NOW)
    assert alone.windows[0].family == "codex"


@pytest.mark.parametrize(
    "data", [b"", b"[DONE]", b"[]", b"{}", b'{"rate_limits":5}', b"[" * 5000, b'{"\xff":1}']
)
def test_an_event_that_cannot_be_read_says_nothing(data):
    """It is no reason to break a stream."""
    assert quota_event(data, now=NOW).empty


@pytest.mark.parametrize("value", [True, [], {}, "NaN", 10**400, None])
def test_an_event_with_strange_numbers_says_nothing(value):
    """A number is a number."""
    view = event(rate_limits={"primary": {"used_percent": value}})
    assert view.windows == ()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    f"x-codex-{slot}-{metric}"
                    for slot in ("primary", "secondary")
                    for metric in (
                        "used-percent",
                        "window-minutes",
                        "reset-at",
                        "reset-after-seconds",
                    )
                ]
            ),
            st.text(max_size=12) | st.floats().map(str),
        )
    )
)
def test_every_window_is_within_its_bounds(headers):
    """Whatever the headers are."""
    for seen in quota(headers, now=NOW).windows:
        assert 0 <= seen.used_ratio <= 10
        assert 0 <= seen.minutes <= MINUTES_MAX
        assert seen.reset_at is None or NOW <= seen.reset_at <= NOW + YEAR
        assert math.isfinite(seen.used_ratio)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "30"}, 30),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": HTTP_DATE}, 100),
        ({"retry-after": "Wed, 01 Jan 2020 00:00:00 GMT"}, 0),
        ({"retry-after": "1e12"}, YEAR),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "30"}, 0.25),
        ({"retry-after-ms": "-1", "retry-after": "30"}, 30),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            360,
        ),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1s"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_read_from_whatever_header_has_it(headers, seconds):
    """Milliseconds before seconds, `retry-after` before budgets that are used up."""
    wait = retry_after_s(headers.items(), now=NOW)
    assert wait == (None if seconds is None else pytest.approx(seconds))
