"""What upstreams say about limits, read from headers and from the `codex.rate_limits` event.

A window is known by its family and its length in minutes, never by the slot that it stood in:
the backend moves windows between slots. Every number is bounded, because the pool plans with
them: what is no number, or no time within a year, was not said. Nothing is decided here.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from email.utils import mktime_tz, parsedate_tz
from typing import Final

import msgspec
from msgspec import Struct

from app.domain.quota import MAIN_FAMILY, Credits, QuotaView, QuotaWindow
from app.wire.durations import DURATION_S_MAX, duration_s

USED_RATIO_MAX: Final = 10.0
MINUTES_MAX: Final = 366 * 1440
WINDOWS_MAX: Final = 64
_WORD_CHARS_MAX: Final = 128

_HEADER: Final = re.compile(
    r"x-(?P<family>[a-z0-9_.-]{1,64})-(?P<slot>[a-z0-9]{1,32})-"
    r"(?P<metric>used-percent|window-minutes|reset-at|reset-after-seconds)"
)
_METRICS: Final[Mapping[str, str]] = {
    "used-percent": "used_percent",
    "window-minutes": "window_minutes",
    "reset-at": "reset_at",
    "reset-after-seconds": "reset_after_seconds",
}
_YES: Final = frozenset({"1", "true", "yes"})
_NO: Final = frozenset({"0", "false", "no"})


class _Window(Struct):
    used_percent: object = None
    window_minutes: object = None
    reset_at: object = None
    reset_after_seconds: object = None


class _Limit(Struct):
    allowed: object = None
    limit_reached: object = None
    primary: _Window | None = None
    secondary: _Window | None = None


class _Credits(Struct):
    has_credits: object = None
    unlimited: object = None
    balance: object = None


class _Event(Struct):
    plan_type: object = None
    rate_limits: _Limit | None = None
    additional_rate_limits: dict[str, _Limit | None] | None = None
    credits: _Credits | None = None
    metered_limit_name: object = None
    rate_limit_reached_type: object = None


def quota(headers: Iterable[tuple[str, str]], *, now: float) -> QuotaView:
    """Return what a reply's headers say about limits at `now`, in epoch seconds.

    Names are in lower case; of a name that stands twice the first counts.
    """
    named: dict[str, str] = {}
    windows: dict[tuple[str, str], _Window] = {}
    for name, value in headers:
        if name in named or not name.startswith("x-"):
            continue
        named[name] = value
        if found := _HEADER.fullmatch(name):
            slot = (found["family"], found["slot"])
            if slot in windows or len(windows) < WINDOWS_MAX:
                setattr(windows.setdefault(slot, _Window()), _METRICS[found["metric"]], value)
    spoken = (_window(family, window, now) for (family, _), window in windows.items())
    return QuotaView(
        windows=tuple(window for window in spoken if window),
        active_family=_family(named.get("x-codex-active-limit")),
        allowed=_flag(named.get("x-codex-allowed")),
        limit_reached=_flag(named.get("x-codex-limit-reached")),
        reached_type=_word(named.get("x-codex-rate-limit-reached-type")),
        plan=_word(named.get("x-codex-plan-type")),
        credits=_credits(
            named.get("x-codex-credits-has-credits"),
            named.get("x-codex-credits-unlimited"),
            named.get("x-codex-credits-balance"),
        ),
    )


def quota_event(data: bytes, *, now: float, active_family: str | None = None) -> QuotaView:
    """Return what a `codex.rate_limits` event says about limits at `now`.

    `active_family` is what the reply's headers named as such: where the event doesn't name the
    limit that it describes, it is that one. An event that can't be read says nothing.
    """
    try:
        event = msgspec.json.decode(data, type=_Event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return QuotaView()
    family = _family(event.metered_limit_name) or active_family or MAIN_FAMILY
    limit = event.rate_limits or _Limit()
    windows = list(_windows(family, limit, now))
    for name, other in (event.additional_rate_limits or {}).items():
        windows.extend(_windows(_family(name) or MAIN_FAMILY, other or _Limit(), now))
    purse = event.credits or _Credits()
    return QuotaView(
        windows=tuple(windows[:WINDOWS_MAX]),
        active_family=family if event.rate_limits else None,
        allowed=_flag(limit.allowed),
        limit_reached=_flag(limit.limit_reached),
        reached_type=_word(event.rate_limit_reached_type),
        plan=_word(event.plan_type),
        credits=_credits(purse.has_credits, purse.unlimited, purse.balance),
    )


def retry_after_s(headers: Iterable[tuple[str, str]], *, now: float) -> float | None:
    """Return how long to wait, 0 to a year, or None if no header says so.

    `retry-after` counts before the resets of the `x-ratelimit-*` budgets, of which those count
    that have nothing left; the longest of them is meant.
    """
    named: dict[str, str] = {}
    for name, value in headers:
        named.setdefault(name, value)
    millis = _number(named.get("retry-after-ms"))
    if millis is not None and millis >= 0:
        return min(millis / 1000, DURATION_S_MAX)
    waits = [_wait(named.get("retry-after"), now)]
    if waits == [None]:
        waits = [
            _wait(named.get(f"x-ratelimit-reset-{budget}"), now)
            for budget in ("requests", "tokens")
            if _number(named.get(f"x-ratelimit-remaining-{budget}")) == 0
        ]
    return max((wait for wait in waits if wait is not None), default=None)


def _windows(family: str, limit: _Limit, now: float) -> Iterator[QuotaWindow]:
    for slot in (limit.primary, limit.secondary):
        window = _window(family, slot, now) if slot else None
        if window:
            yield window


def _window(family: str, said: _Window, now: float) -> QuotaWindow | None:
    """Return the window, or None for a placeholder without data."""
    percent = _number(said.used_percent)
    if percent is None:
        return None
    minutes = _minutes(said.window_minutes)
    reset_at = _reset_at(said, now)
    if percent <= 0 and not minutes and reset_at is None:
        return None
    return QuotaWindow(
        family=family,
        minutes=minutes,
        used_ratio=min(max(percent / 100, 0.0), USED_RATIO_MAX),
        reset_at=reset_at,
    )


def _minutes(value: object) -> int:
    minutes = _number(value)
    return int(minutes) if minutes is not None and 1 <= minutes <= MINUTES_MAX else 0


def _reset_at(said: _Window, now: float) -> float | None:
    at = _moment(said.reset_at)
    if at is not None and 0 < at <= now + DURATION_S_MAX:
        return max(at, now)
    after = _number(said.reset_after_seconds)
    if after is not None and 0 <= after <= DURATION_S_MAX:
        return now + after
    return None


def _wait(value: str | None, now: float) -> float | None:
    if value is None:
        return None
    seconds = _number(value)
    if seconds is None:
        seconds = duration_s(value.strip())
    if seconds is None and (at := _date(value)) is not None:
        seconds = max(0.0, at - now)
    return min(seconds, DURATION_S_MAX) if seconds is not None and seconds >= 0 else None


def _moment(value: object) -> float | None:
    number = _number(value)
    if number is None and isinstance(value, str):
        return _date(value)
    return number


def _date(value: str) -> float | None:
    """Return the epoch seconds of an HTTP date."""
    try:
        parsed = parsedate_tz(value)
        return float(mktime_tz(parsed)) if parsed else None
    except (ValueError, OverflowError):
        return None


def _number(value: object) -> float | None:
    """Return a finite number, whether it came as one or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _flag(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _YES:
        return True
    return False if word in _NO else None


def _word(value: object) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return None
    return value.strip()[:_WORD_CHARS_MAX]


def _family(value: object) -> str | None:
    word = _word(value)
    return word.lower().replace("_", "-") if word else None


def _credits(available: object, unlimited: object, balance: object) -> Credits | None:
    has, endless = _flag(available), _flag(unlimited)
    if has is None and endless is None:
        return None
    amount = str(balance) if isinstance(balance, int | float) else balance
    return Credits(available=bool(has), unlimited=bool(endless), balance=_word(amount))
