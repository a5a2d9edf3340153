"""An account's quota as the wire shows it: headers, the in-stream event, the usage endpoint.

All three are derived from the same `Account`, so they cannot disagree. Knobs may leave parts out
or replace single header values, because real backends do.
"""

from typing import Any

from loadtests.simulator.accounts import Account, Window
from loadtests.simulator.config import Knobs

_SLOTS = ("primary", "secondary")


def headers(account: Account, knobs: Knobs, now: float) -> list[tuple[str, str]]:
    """The `x-codex-*` headers of any reply to this account."""
    if knobs.limit_headers == "none":
        return []
    fields: dict[str, str | None] = {
        "x-codex-active-limit": "codex",
        "x-codex-limit-name": "codex",
        "x-codex-plan-type": account.plan,
        "x-codex-credits-has-credits": _flag(account.spec.has_credits),
        "x-codex-credits-unlimited": _flag(account.spec.unlimited_credits),
    }
    if account.spec.balance is not None:
        fields["x-codex-credits-balance"] = account.spec.balance
    for slot, window in zip(_SLOTS, _slots(account, now), strict=False):
        fields |= _window_headers(slot, window, knobs, now)
    if account.secondary is not None:
        fields["x-codex-primary-over-secondary-limit-percent"] = "10"
    fields.update(knobs.limit_header_overrides)
    return [(name, value) for name, value in fields.items() if value is not None]


def event(account: Account, now: float) -> dict[str, Any]:
    """The `codex.rate_limits` event."""
    primary, secondary = _pair(account, now)
    return {
        "type": "codex.rate_limits",
        "plan_type": account.plan,
        "rate_limits": {
            "allowed": account.exhausted(now) is None,
            "limit_reached": account.exhausted(now) is not None,
            "primary": _event_window(primary),
            "secondary": _event_window(secondary) if secondary else None,
        },
        "additional_rate_limits": {},
        "credits": {
            "has_credits": account.spec.has_credits,
            "unlimited": account.spec.unlimited_credits,
            "balance": account.spec.balance,
        },
        "metered_limit_name": "codex",
        "limit_name": None,
    }


def usage(account: Account, now: float) -> dict[str, Any]:
    """The body of `GET /backend-api/wham/usage`."""
    primary, secondary = _pair(account, now)
    full = account.exhausted(now) is not None
    return {
        "user_id": account.user_id,
        "account_id": account.account_id,
        "email": account.email,
        "plan_type": account.plan,
        "rate_limit": {
            "allowed": not full,
            "limit_reached": full,
            "primary_window": _usage_window(primary, now),
            "secondary_window": _usage_window(secondary, now) if secondary else None,
        },
        "code_review_rate_limit": None,
        "additional_rate_limits": [],
        "credits": {
            "has_credits": account.spec.has_credits,
            "unlimited": account.spec.unlimited_credits,
            "overage_limit_reached": False,
            "balance": account.spec.balance or "0",
            "approx_local_messages": [0, 0],
            "approx_cloud_messages": [0, 0],
        },
        "spend_control": {"reached": False, "individual_limit": None},
        "rate_limit_reached_type": "rate_limit_reached" if full else None,
        "rate_limit_reset_credits": {
            "available_count": account.reset_credits,
            "applicable_available_count": account.reset_credits,
        },
        "promo": None,
        "referral_beacon": None,
    }


def _pair(account: Account, now: float) -> tuple[Window, Window | None]:
    windows = account.windows(now)
    return windows[0], windows[1] if len(windows) > 1 else None


def _slots(account: Account, now: float) -> list[Window]:
    windows = account.windows(now)
    if account.spec.shape == "zero_secondary":
        windows.append(Window(0, 0.0, 0.0))
    return windows


def _window_headers(slot: str, window: Window, knobs: Knobs, now: float) -> dict[str, str | None]:
    found: dict[str, str | None] = {
        f"x-codex-{slot}-used-percent": f"{window.used_percent:.1f}",
        f"x-codex-{slot}-window-minutes": str(window.minutes),
    }
    if knobs.limit_headers != "reset_after":
        found[f"x-codex-{slot}-reset-at"] = str(int(window.reset_at))
    if knobs.limit_headers != "reset_at":
        after_s = max(0, int(window.reset_at - now))
        found[f"x-codex-{slot}-reset-after-seconds"] = str(after_s)
    return found


def _event_window(window: Window) -> dict[str, Any]:
    return {
        "used_percent": round(window.used_percent, 3),
        "window_minutes": window.minutes,
        "reset_at": int(window.reset_at),
    }


def _usage_window(window: Window, now: float) -> dict[str, Any]:
    return {
        "used_percent": round(window.used_percent),
        "limit_window_seconds": window.minutes * 60,
        "reset_after_seconds": max(0, int(window.reset_at - now)),
        "reset_at": int(window.reset_at),
    }


def _flag(value: bool) -> str:  # noqa: FBT001  (one value to spell, nothing to confuse it with)
    return "true" if value else "false"
