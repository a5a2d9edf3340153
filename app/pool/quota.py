"""What is known of an account's quota windows, and what follows: a pause, and how much is left.

A window is known by its family and its length. It holds until its reset; then it is empty until
the upstream speaks of it again. The upstream's own judgement (`limit_reached`, `allowed`) counts
for more than the percentages: they are rounded, and some limits have none.

`hear` and `paused` set `paused_until` to what the windows say now, later or earlier than before.
The rest after a refusal (`ready_at`) is not touched: it only ever grows, and no good news ends it
early. What replies say may be older than what is known, as they overtake each other, so within
one window they never make less of it used; only the usage endpoint does. Nothing here changes an
account's health, and no account is chosen here.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Final

from app.domain.quota import MAIN_FAMILY, RESET_SLACK_S, QuotaView, QuotaWindow
from app.pool.state import WINDOWS_MAX, AccountState, Gauge

UNNAMED_RESET_S: Final = 300.0
"""How long a window is believed whose reset nobody named: a mistake must not rest an account."""
UNNAMED_LIMIT_S: Final = 60.0
"""How long a limit is believed that no known window explains."""
NEARLY_FULL: Final = 0.9
"""From here on a window explains that a limit is reached."""
SAME_WINDOW_S: Final = 60.0
"""A reset that moves later by more than this is that of a new window."""
BACKED_HEADROOM: Final = 0.02
"""What is left at least where credits pay: such an account is dear, but it can be used."""

_USED_RATIO_MAX: Final = 10.0
_RESET_S_MAX: Final = 366 * 86_400.0


def hear(
    state: AccountState, view: QuotaView, *, pause_at: float, now: float, final: bool = False
) -> None:
    """Take over what an upstream said, and pause the account or end its pause accordingly.

    `final` says that it is the answer to a question about the usage, and no reply's aside.

    `pause_at` is the share of a window, above 0 and up to 1, at which the account is paused. Look
    at `model_pauses` afterwards if the view spoke of other families than the main one.
    """
    if view.empty:
        return
    state.heard_at = now
    if view.credits is not None:
        state.credits = view.credits
    for window in view.windows:
        _note(state, window, now, final=final)
    family = view.active_family or MAIN_FAMILY
    match _reached(view):
        case True:
            _fill(state, family, now)
        case False:
            _acquit(state, family, view)
    paused(state, pause_at=pause_at, now=now)


def spend(state: AccountState, tokens: int, *, family: str, now: float) -> None:
    """Count one call and its tokens in the windows of the family that it was metered under."""
    for (name, _), gauge in state.windows.items():
        if name != family:
            continue
        if gauge.reset_at is not None and ends_at(gauge) <= now:
            # What follows belongs to the next window, of which nothing has been heard yet.
            gauge.began_at = gauge.reset_at
            gauge.reset_at = None
            gauge.used_ratio = 0.0
            gauge.tokens = gauge.requests = 0
        gauge.tokens += tokens
        gauge.requests += 1


def headroom(state: AccountState, *, family: str, now: float) -> float:
    """Return what is left of the tightest window, 0 to 1; 1 where nothing is known.

    The windows of the main family count and those of `family`. Credits keep it from 0.
    """
    used = 0.0
    for (name, _), gauge in state.windows.items():
        if gauge.used_ratio > used and name in (MAIN_FAMILY, family) and ends_at(gauge) > now:
            used = gauge.used_ratio
    return max(1.0 - used, BACKED_HEADROOM if _backed(state) else 0.0)


def paused(state: AccountState, *, pause_at: float, now: float) -> None:
    """Set `paused_until` anew: until the last of the main windows ends that are used so far.

    It is 0 if none is, or if credits pay. The account's health is to follow.
    """
    until = 0.0
    if not _backed(state):
        for (family, _), gauge in state.windows.items():
            if family == MAIN_FAMILY and gauge.used_ratio >= pause_at:
                until = max(until, ends_at(gauge))
    state.paused_until = until if until > now else 0.0


def model_pauses(
    state: AccountState, families: Mapping[str, str], *, pause_at: float, now: float
) -> dict[str, float]:
    """Return the models that are to rest, and until when, because a limit of their own is used up.

    `families` says under which family each model is metered. The main family's windows are left
    out: they pause the whole account.
    """
    used_up: dict[str, float] = {}
    if not _backed(state):
        for (family, _), gauge in state.windows.items():
            if family != MAIN_FAMILY and gauge.used_ratio >= pause_at and ends_at(gauge) > now:
                used_up[family] = max(ends_at(gauge), used_up.get(family, 0.0))
    if not used_up:
        return {}
    return {model: used_up[family] for model, family in families.items() if family in used_up}


def ends_at(gauge: Gauge) -> float:
    """Return when a window is empty again, epoch seconds, as far as anybody knows."""
    if gauge.reset_at is None:
        return gauge.seen_at + UNNAMED_RESET_S
    return gauge.reset_at + RESET_SLACK_S


def _backed(state: AccountState) -> bool:
    """Tell whether the account goes on once its windows are full."""
    return state.credits is not None and (state.credits.available or state.credits.unlimited)


def _note(state: AccountState, window: QuotaWindow, now: float, *, final: bool) -> None:
    used_ratio = window.used_ratio
    if not isfinite(used_ratio):
        return
    used_ratio = min(max(used_ratio, 0.0), _USED_RATIO_MAX)
    reset_at = window.reset_at
    if reset_at is not None and not 0.0 < reset_at <= now + _RESET_S_MAX:
        reset_at = None
    key = (window.family, window.minutes)
    gauge = state.windows.get(key)
    if gauge is None:
        if _has_place(state, now):
            began_at = _began_at(reset_at, window.minutes, now)
            state.windows[key] = Gauge(used_ratio, reset_at, now, began_at)
        return
    if _is_new(gauge, reset_at, now):
        gauge.began_at = _began_at(reset_at, window.minutes, now)
        gauge.reset_at = reset_at
        gauge.tokens = gauge.requests = 0
        gauge.used_ratio = used_ratio
    else:
        if reset_at is not None:
            gauge.reset_at = reset_at
        if final or used_ratio > gauge.used_ratio or ends_at(gauge) <= now:
            gauge.used_ratio = used_ratio
    gauge.seen_at = now


def _is_new(gauge: Gauge, reset_at: float | None, now: float) -> bool:
    """Tell whether what is said now is said of the window that followed the known one."""
    if gauge.reset_at is None:
        return False
    if gauge.reset_at <= now:
        return reset_at is None or reset_at > gauge.reset_at + RESET_SLACK_S
    return reset_at is not None and reset_at > gauge.reset_at + SAME_WINDOW_S


def _began_at(reset_at: float | None, minutes: int, now: float) -> float:
    return now if reset_at is None or not minutes else min(now, reset_at - minutes * 60.0)


def _has_place(state: AccountState, now: float) -> bool:
    """Make room for one more window; False if all that are known were heard of just now."""
    if len(state.windows) < WINDOWS_MAX:
        return True
    oldest = min(state.windows, key=lambda key: state.windows[key].seen_at)
    if state.windows[oldest].seen_at >= now:
        return False
    del state.windows[oldest]
    return True


def _reached(view: QuotaView) -> bool | None:
    """Return the upstream's own judgement, None if it gave none."""
    if view.limit_reached or view.allowed is False:
        return True
    if view.reached_type is not None and view.limit_reached is None:
        return True
    return None if view.limit_reached is None and view.allowed is None else False


def _fill(state: AccountState, family: str, now: float) -> None:
    """Believe that a limit is reached: the windows that explain it are full."""
    nearly = [
        gauge
        for (name, _), gauge in state.windows.items()
        if name == family and gauge.used_ratio >= NEARLY_FULL and ends_at(gauge) > now
    ]
    for gauge in nearly:
        gauge.used_ratio = max(gauge.used_ratio, 1.0)
    if not nearly:
        _note(state, QuotaWindow(family, 0, 1.0, now + UNNAMED_LIMIT_S), now, final=True)


def _acquit(state: AccountState, family: str, view: QuotaView) -> None:
    """Believe that no limit is reached: what no window explained is over."""
    spoken = any(window.family == family and window.minutes == 0 for window in view.windows)
    gauge = state.windows.get((family, 0))
    if gauge is not None and gauge.used_ratio >= 1.0 and not spoken:
        del state.windows[family, 0]
