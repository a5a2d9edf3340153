"""What upstreams say about limits: in headers, in `codex.rate_limits` events, when asked for it.

A window is known by its family and its length in minutes, never by the slot that it stood in:
the backend moves windows between slots. Every number is bounded, because the pool plans with
them: what is no number, or no time within a year, was not said. Nothing is decided here.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Reversible
from email.utils import mktime_tz, parsedate_tz
from itertools import islice
from typing import Final

import msgspec
from msgspec import Struct, structs

from app.domain.quota import MAIN_FAMILY, Credits, QuotaView, QuotaWindow
from app.wire.durations import DURATION_S_MAX, duration_s

USED_RATIO_MAX: Final = 10.0
MINUTES_MAX: Final = 366 * 1440
WINDOWS_MAX: Final = 64
_WORD_CHARS_MAX: Final = 128

_NUMERIC: Final = (str, int, float)
_USED: Final = "-used-percent"
_SLOT: Final = re.compile(r"x-([a-z0-9_.-]{1,64})-[a-z0-9]{1,32}")
_BESIDE_WINDOWS: Final = frozenset(
    {
        "x-codex-active-limit",
        "x-codex-allowed",
        "x-codex-limit-reached",
        "x-codex-rate-limit-reached-type",
        "x-codex-plan-type",
        "x-codex-credits-has-credits",
        "x-codex-credits-unlimited",
    }
)
_NOTHING: Final = QuotaView()
_CAPITAL: Final = re.compile(r"([A-Z])")
_REVIEW_FAMILY: Final = "codex-code-review"
_YES: Final = frozenset({"1", "true", "yes"})
_NO: Final = frozenset({"0", "false", "no"})


class _Slot(Struct, frozen=True):
    """The names of the headers that tell of one window."""

    family: str
    used: str
    minutes: str
    reset_at: str
    reset_after: str


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


def quota(headers: Reversible[tuple[str, str]], *, now: float) -> QuotaView:
    """Return what a reply's headers say about limits at `now`, in epoch seconds.

    Names are in lower case; of a name that stands twice the first counts.
    """
    # This is done for every reply, so it is done in few steps: no loop of ours over all headers.
    named = dict(reversed(headers))
    windows = _spoken_windows(named, now)
    if not windows and _BESIDE_WINDOWS.isdisjoint(named):
        return _NOTHING
    say = named.get
    return QuotaView(
        windows=windows,
        active_family=_family(say("x-codex-active-limit")),
        allowed=_flag(say("x-codex-allowed")),
        limit_reached=_flag(say("x-codex-limit-reached")),
        reached_type=_word(say("x-codex-rate-limit-reached-type")),
        plan=_word(say("x-codex-plan-type")),
        credits=_credits(
            say("x-codex-credits-has-credits"),
            say("x-codex-credits-unlimited"),
            say("x-codex-credits-balance"),
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


def quota_usage(body: bytes, *, now: float) -> QuotaView | None:
    """Return what an answer of the usage endpoint says about limits; None if it says nothing.

    Fields may be in snake or camel case, numbers may be text, and any part may be missing. Credits
    that must not be spent any more (`spend_control`, `overage_limit_reached`) are none.
    """
    try:
        said = _fields(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    limit = _fields(said.get("rate_limit"))
    barred = _flag(_fields(said.get("spend_control")).get("reached")) is True
    reached = _flag(limit.get("limit_reached"))
    reached_type = said.get("rate_limit_reached_type")
    view = QuotaView(
        windows=tuple(islice(_usage_windows(said, limit, now), WINDOWS_MAX)),
        active_family=MAIN_FAMILY if limit else None,
        allowed=_flag(limit.get("allowed")),
        limit_reached=True if barred and not limit else reached,
        reached_type=_word(reached_type) or _word(_fields(reached_type).get("type")),
        plan=_word(said.get("plan_type")),
        credits=_usage_credits(_fields(said.get("credits")), barred=barred),
    )
    return None if view.empty else view


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


def _spoken_windows(named: Mapping[str, str], now: float) -> tuple[QuotaWindow, ...]:
    """Return the windows that headers tell of, those of the main family first."""
    count = " ".join(named).count(_USED)
    if not count:
        return ()
    slots = [slot for slot in _USUAL_SLOTS if slot.used in named]
    if count > len(slots):
        slots += _unusual_slots(named)
    say = named.get
    spoken = [
        _window(
            slot.family,
            _Window(say(slot.used), say(slot.minutes), say(slot.reset_at), say(slot.reset_after)),
            now,
        )
        for slot in slots[:WINDOWS_MAX]
    ]
    return tuple([window for window in spoken if window is not None])


def _unusual_slots(named: Mapping[str, str]) -> Iterator[_Slot]:
    usual = {slot.used for slot in _USUAL_SLOTS}
    for name in named:
        if name.endswith(_USED) and name not in usual:
            prefix = name.removesuffix(_USED)
            found = _SLOT.fullmatch(prefix)
            family = _family(found[1]) if found else None
            if family is not None:
                yield _slot(family, prefix)


def _slot(family: str, prefix: str) -> _Slot:
    return _Slot(
        family=family,
        used=prefix + _USED,
        minutes=f"{prefix}-window-minutes",
        reset_at=f"{prefix}-reset-at",
        reset_after=f"{prefix}-reset-after-seconds",
    )


_USUAL_SLOTS: Final = (
    _slot(MAIN_FAMILY, "x-codex-primary"),
    _slot(MAIN_FAMILY, "x-codex-secondary"),
)


def _windows(family: str, limit: _Limit, now: float) -> Iterator[QuotaWindow]:
    for slot in (limit.primary, limit.secondary):
        window = _window(family, slot, now) if slot else None
        if window:
            yield window


def _usage_windows(
    said: Mapping[str, object], limit: Mapping[str, object], now: float
) -> Iterator[QuotaWindow]:
    yield from _windows(MAIN_FAMILY, _usage_limit(limit), now)
    yield from _windows(_REVIEW_FAMILY, _usage_limit(said.get("code_review_rate_limit")), now)
    others = said.get("additional_rate_limits")
    for other in map(_fields, others if isinstance(others, list) else ()):
        family = _family(other.get("metered_feature")) or _family(other.get("limit_name"))
        if family is not None:
            yield from _windows(family, _usage_limit(other.get("rate_limit")), now)


def _usage_limit(value: object) -> _Limit:
    limit = _fields(value)
    return _Limit(
        primary=_usage_window(limit.get("primary_window")),
        secondary=_usage_window(limit.get("secondary_window")),
    )


def _usage_window(value: object) -> _Window:
    window = _fields(value)
    length_s = _number(window.get("limit_window_seconds"))
    return _Window(
        used_percent=window.get("used_percent"),
        window_minutes=None if length_s is None else round(length_s / 60),
        reset_at=window.get("reset_at"),
        reset_after_seconds=window.get("reset_after_seconds"),
    )


def _usage_credits(purse: Mapping[str, object], *, barred: bool) -> Credits | None:
    found = _credits(purse.get("has_credits"), purse.get("unlimited"), purse.get("balance"))
    if found is not None and (barred or _flag(purse.get("overage_limit_reached"))):
        return structs.replace(found, available=False, unlimited=False)
    return found


def _fields(value: object) -> dict[str, object]:
    """Return an object's members by their names in snake case; no object has none."""
    if not isinstance(value, dict):
        return {}
    return {_CAPITAL.sub(r"_\1", name).lower(): field for name, field in value.items()}


def _window(family: str, said: _Window, now: float) -> QuotaWindow | None:
    """Return the window, or None for a placeholder without data."""
    percent = _number(said.used_percent)
    if percent is None:
        return None
    minutes = _minutes(said.window_minutes)
    reset_at = _reset_at(said, now)
    if percent <= 0 and not minutes and reset_at is None:
        return None
    used_ratio = percent / 100
    if not 0.0 <= used_ratio <= USED_RATIO_MAX:
        used_ratio = 0.0 if used_ratio < 0.0 else USED_RATIO_MAX
    return QuotaWindow(family, minutes, used_ratio, reset_at)


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
    if not isinstance(value, _NUMERIC) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _flag(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _YES:
        return True
    return False if word in _NO else None


def _word(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return value.strip()[:_WORD_CHARS_MAX] or None


def _family(value: object) -> str | None:
    word = _word(value)
    return word.lower().replace("_", "-") if word else None


def _credits(available: object, unlimited: object, balance: object) -> Credits | None:
    if available is None and unlimited is None:
        return None
    has, endless = _flag(available), _flag(unlimited)
    if has is None and endless is None:
        return None
    amount = str(balance) if isinstance(balance, int | float) else balance
    return Credits(available=bool(has), unlimited=bool(endless), balance=_word(amount))
