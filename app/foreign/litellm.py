"""LiteLLM: callers' keys as digests, with limits of their own, of a shared budget and of a team.

Of a key only the SHA-256 is there, so the key itself can't be taken over: it has to be made anew.
Upstreams are listed, not taken: their API keys are sealed with LiteLLM's own salt, and most of them
are no Codex accounts. A budget without a duration lasts for ever there; what is left of it becomes
that of a month.
"""

import re
from collections.abc import Mapping
from typing import Final

from app.domain.caller import Allowance
from app.foreign.found import BadValue, Found, FoundKey
from app.foreign.reading import Product, Tables, Wanted
from app.foreign.values import Row, count, flag, key_digest, moment, money, names, spent, text

_KEYS: Final = "LiteLLM_VerificationToken"
_BUDGETS: Final = "LiteLLM_BudgetTable"
_TEAMS: Final = "LiteLLM_TeamTable"
_UPSTREAMS: Final = "LiteLLM_ProxyModelTable"
_LIMITS: Final = ("max_budget", "budget_duration", "tpm_limit", "rpm_limit",
                  "max_parallel_requests")  # fmt: skip

PRODUCT: Final = Product(
    "LiteLLM",
    (
        Wanted(
            _KEYS,
            ("token", "models"),
            (
                "key_name", "key_alias", "spend", "expires", "team_id", "blocked", "budget_id",
                "allowed_routes", "model_max_budget", "budget_limits", *_LIMITS,
            ),
        ),
        Wanted(_BUDGETS, ("budget_id",), _LIMITS, optional=True),
        Wanted(_TEAMS, ("team_id",), ("team_alias", "models", *_LIMITS), optional=True),
        Wanted(_UPSTREAMS, ("model_id", "model_name"), optional=True),
    ),
)  # fmt: skip

_DASHBOARD: Final = "litellm-dashboard"
_ALL: Final = "all-proxy-models"
_OF_TEAM: Final = "all-team-models"
_NONE: Final = "no-default-models"
_DURATION: Final = re.compile(r"(\d{1,4})(s|m|h|d|w|mo)", re.ASCII)
_HOURS: Final = {"h": 1, "d": 24, "w": 168}


def found(tables: Tables, *, secret: str | None) -> Found:
    """Return what the tables hold; there is nothing that a `secret` could open."""
    del secret
    result = Found()
    budgets = {row["budget_id"]: row for row in tables.get(_BUDGETS, ())}
    teams = {row["team_id"]: row for row in tables.get(_TEAMS, ())}
    for row in tables[_KEYS]:
        place, name = f"{_KEYS} {text(row['token'])[:12]}", _name(row)
        with result.judging(place, name):
            if text(row.get("team_id")) == _DASHBOARD:
                raise BadValue("it is a login of the dashboard")
            _take(row, budgets.get(row.get("budget_id"), {}), teams, result)
    for row in tables.get(_UPSTREAMS, ()):
        result.refuse(
            f"{_UPSTREAMS} {row['model_id']}", text(row["model_name"]),
            "its API key is sealed with LiteLLM's salt: add it with `codex2api accounts add "
            "--api-key`",
        )  # fmt: skip
    return result


def _name(row: Row) -> str:
    return text(row.get("key_alias")) or text(row.get("key_name")) or text(row["token"])[:12]


def _take(row: Row, shared: Row, teams: Mapping[object, Row], result: Found) -> None:
    place, name = f"{_KEYS} {text(row['token'])[:12]}", _name(row)
    team = teams.get(row.get("team_id"), {})
    limits = {
        each: row.get(each) if row.get(each) is not None else shared.get(each) for each in _LIMITS
    }
    budget = money(limits["max_budget"], "max_budget")
    budgets, remark, enabled = _budgets(budget, limits["budget_duration"], row)
    result.keys.append(
        FoundKey(
            row=place,
            name=name,
            key=key_digest(row["token"]),
            enabled=enabled and not flag(row.get("blocked"), default=False),
            expires_at=moment(row.get("expires"), "expires"),
            models=_models(row, team),
            allowance=Allowance(
                requests_per_minute=_limit(limits["rpm_limit"], "rpm_limit"),
                tokens_per_minute=_limit(limits["tpm_limit"], "tpm_limit"),
                concurrency_max=_limit(limits["max_parallel_requests"], "max_parallel_requests"),
                **budgets,
            ),
        )
    )
    if remark:
        result.note(place, name, remark)
    lost = [each for each in ("model_max_budget", "budget_limits") if _has(row.get(each))]
    lost += ["allowed_routes"] if names(row.get("allowed_routes"), "allowed_routes") else []
    lost += [f"{each} of its team" for each in _LIMITS if team.get(each) is not None]
    if lost:
        result.note(place, name, f"no counterpart for: {', '.join(lost)}")


def _models(row: Row, team: Row) -> tuple[str, ...]:
    models = names(row["models"], "models")
    if not models or _OF_TEAM in models:
        models = names(team.get("models"), "models of its team")
    if _NONE in models:
        raise BadValue("it may use no model at all")
    return () if _ALL in models else models


def _budgets(budget: int | None, duration: object, row: Row) -> tuple[dict[str, int], str, bool]:
    """Return the budgets of a key, what there is to say of them, and whether it may work."""
    if budget is None:
        return {}, "", True
    period = text(duration)
    if not period:
        left = budget - spent(row.get("spend"), "spend")
        if left <= 0:
            return {}, "its max_budget is used up there, so it is disabled here", False
        told = "what is left of its max_budget is now its budget of each month"
        return {"month_nusd": left}, told, True
    match _hours(period):
        case 24:
            return {"day_nusd": budget}, "", True
        case hours if 28 * 24 <= hours <= 31 * 24:
            return {"month_nusd": budget}, "", True
        case _:
            return {}, f"no counterpart for its max_budget of {period}", True


def _hours(period: str) -> float:
    match = _DURATION.fullmatch(period)
    if match is None:
        raise BadValue(f"budget_duration is {period[:20]!r}: expected one such as 30d")
    number, unit = int(match[1]), match[2]
    return 30 * 24 * number if unit == "mo" else number * _HOURS.get(unit, 0)


def _limit(value: object, field: str) -> int | None:
    """Return a limit of calls or tokens.

    Raises:
        BadValue: It is 0, which lets nothing through, or no limit at all.
    """
    found = count(value, field)
    if found == 0:
        raise BadValue(f"{field} is 0: it may do nothing")
    return found


def _has(column: object) -> bool:
    """Tell whether a JSON column holds anything."""
    return column not in (None, "", "{}", "[]", "null", {}, [])
