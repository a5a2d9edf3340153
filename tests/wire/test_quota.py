"""Limits are read from headers and events, and no number is believed that can't be."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.quota import Credits, QuotaView, QuotaWindow
from app.wire.durations import DURATION_S_MAX
from app.wire.quota import (
    MINUTES_MAX,
    WINDOWS_MAX,
    quota,
    quota_event,
    quota_usage,
    retry_after_s,
)

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


_SAID = re.compile(
    r"x-(?P<family>[a-z0-9_.-]{1,64})-(?P<slot>[a-z0-9]{1,32})-"
    r"(?P<metric>used-percent|window-minutes|reset-at|reset-after-seconds)"
)


def plainly(headers):
    """Return the windows of some headers, read one by one and each alone."""
    slots = {}
    for name, value in headers:
        if found := _SAID.fullmatch(name):
            slot = slots.setdefault((found["family"], found["slot"]), {})
            slot.setdefault(found["metric"], value)
    spoken = []
    for (family, _), slot in slots.items():
        headers = [(f"x-codex-primary-{metric}", value) for metric, value in slot.items()]
        spoken += [
            QuotaWindow(family.replace("_", "-"), one.minutes, one.used_ratio, one.reset_at)
            for one in quota(headers, now=NOW).windows
        ]
    return spoken


@given(
    st.lists(
        st.tuples(
            st.builds(
                "{}-{}-{}-{}".format,
                st.sampled_from(["x", "y"]),
                st.sampled_from(["codex", "codex-bengalfox", "codex_other", "f.1", "Caps", "a b"]),
                st.sampled_from(["primary", "secondary", "tertiary", "no_slot"]),
                st.sampled_from(
                    [
                        "used-percent",
                        "window-minutes",
                        "reset-at",
                        "reset-after-seconds",
                        "over-secondary-limit-percent",
                        "used-percent-used-percent",
                    ]
                ),
            )
            | st.sampled_from(["x-used-percent", "-used-percent", "used-percent", "x-a"]),
            st.sampled_from(["0", "7", "300", "-1", "NaN", ""]),
        ),
        max_size=24,
    )
)
def test_windows_are_the_same_whether_they_are_read_together_or_alone(headers):
    """The short way past all headers finds what a look at each of them finds."""

    def in_order(windows):
        return sorted(windows, key=repr)

    assert in_order(quota(headers, now=NOW).windows) == in_order(plainly(headers))


USAGE = {
    "user_id": "user-abc",
    "plan_type": "plus",
    "rate_limit": {
        "allowed": True,
        "limit_reached": False,
        "primary_window": {
            "used_percent": 12,
            "limit_window_seconds": 18000,
            "reset_after_seconds": 9000,
            "reset_at": NOW + 9000,
        },
        "secondary_window": {
            "used_percent": 40,
            "limit_window_seconds": 604800,
            "reset_after_seconds": 300000,
        },
    },
    "code_review_rate_limit": {
        "allowed": True,
        "primary_window": {"used_percent": 3, "limit_window_seconds": 604800},
    },
    "additional_rate_limits": [
        {
            "limit_name": "GPT-5.3-Codex-Spark",
            "metered_feature": "codex_bengalfox",
            "rate_limit": {
                "primary_window": {"used_percent": 99, "limit_window_seconds": 18000},
                "secondary_window": None,
            },
        },
        {"limit_name": "Named", "rate_limit": {"primary_window": {"used_percent": 1}}},
        {"rate_limit": {"primary_window": {"used_percent": 1}}},
        {"metered_feature": "without a limit"},
        "nonsense",
    ],
    "credits": {"has_credits": True, "unlimited": False, "balance": "12"},
    "spend_control": {"reached": False, "individual_limit": None},
    "rate_limit_reached_type": None,
    "promo": None,
}


def used(**changes: object) -> QuotaView | None:
    """Return what the usage endpoint's answer says with these changes."""
    return quota_usage(json.dumps(USAGE | changes).encode(), now=NOW)


def test_all_that_the_usage_endpoint_says_is_read():
    """Windows by their length, other limits by what they meter."""
    assert used() == QuotaView(
        windows=(
            QuotaWindow("codex", 300, 0.12, NOW + 9000),
            QuotaWindow("codex", 10080, 0.4, NOW + 300000),
            QuotaWindow("codex-code-review", 10080, 0.03, None),
            QuotaWindow("codex-bengalfox", 300, 0.99, None),
            QuotaWindow("named", 0, 0.01, None),
        ),
        active_family="codex",
        allowed=True,
        limit_reached=False,
        plan="plus",
        credits=Credits(available=True, balance="12"),
    )


def test_the_usage_of_a_plan_with_one_monthly_window_in_camel_case_and_text_is_read():
    """As some answers are."""
    body = b"""{"planType":"free","rateLimit":{"allowed":"false","limitReached":"true",
    "primaryWindow":{"usedPercent":"100","limitWindowSeconds":"2592000",
    "resetAfterSeconds":"60"},"secondaryWindow":null},"rateLimitReachedType":
    {"type":"rate_limit_reached"},"credits":{"hasCredits":"false"}}"""
    assert quota_usage(body, now=NOW) == QuotaView(
        windows=(QuotaWindow("codex", 43200, 1.0, NOW + 60),),
        active_family="codex",
        allowed=False,
        limit_reached=True,
        reached_type="rate_limit_reached",
        plan="free",
        credits=Credits(available=False),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"spend_control": {"reached": True}},
        {"credits": {"has_credits": True, "unlimited": True, "overage_limit_reached": True}},
    ],
)
def test_credits_that_must_not_be_spent_are_none(changes):
    """The limit itself is another matter."""
    view = used(**changes)
    assert (view.credits.available, view.credits.unlimited) == (False, False)
    assert view.limit_reached is False


def test_credits_of_which_nothing_clear_is_said_are_not_known():
    """They are neither there nor not there."""
    assert used(credits={"has_credits": "perhaps", "unlimited": 7}).credits is None


@pytest.mark.parametrize(("reached", "limit"), [(True, True), (False, None), ("odd", None)])
def test_without_any_limit_spend_control_is_the_limit(reached, limit):
    """As in workspaces that pay by use."""
    assert used(rate_limit=None, spend_control={"reached": reached}).limit_reached is limit


@pytest.mark.parametrize("length_s", [None, "soon", -1, 1e300, 0])
def test_a_window_of_usage_of_no_length_is_of_unknown_length(length_s):
    """Its use still counts."""
    limit = {"primary_window": {"used_percent": "5", "limit_window_seconds": length_s}}
    assert used(rate_limit=limit, code_review_rate_limit=7, additional_rate_limits={}).windows == (
        QuotaWindow("codex", 0, 0.05, None),
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"5",
        b"{}",
        b'{"detail":"Unauthorized"}',
        b'{"rate_limit":5,"credits":[],"spend_control":"x"}',
        b"[" * 5000,
        b'{"\xff":1}',
    ],
)
def test_an_answer_that_says_nothing_of_usage_is_none(body):
    """It is told from one that says that nothing is used."""
    assert quota_usage(body, now=NOW) is None


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
