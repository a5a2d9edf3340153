"""Tests of app.foreign.litellm."""

from typing import Any

import pytest

from app.domain.caller import Allowance
from app.domain.enrolment import KeyDigest
from app.foreign.found import Found, FoundKey
from app.foreign.litellm import found
from tests.foreign.sources import Rows, litellm_rows

ROW = "LiteLLM_VerificationToken 000000000000"


def of(tables: Rows | None = None, **changes: Any) -> Found:
    """Return what is found, with something else in the key's row and other tables besides."""
    rows = litellm_rows()
    rows["LiteLLM_VerificationToken"][0] |= changes
    return found(rows | (tables or {}), secret=None)


def test_a_key_comes_with_its_limits() -> None:
    """And with its digest, as the key itself is not there."""
    result = of(expires="2100-01-01 00:00:00")
    assert result.keys == [
        FoundKey(
            row=ROW, name="ci", key=KeyDigest(bytes(32)), models=("gpt-5",),
            expires_at=4_102_444_800.0,
            allowance=Allowance(
                requests_per_minute=60, tokens_per_minute=1_000, month_nusd=10_000_000_000
            ),
        )
    ]  # fmt: skip
    assert (result.accounts, result.remarks) == ([], [])


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"key_alias": None}, "sk-...abcd"), ({"key_alias": None, "key_name": None}, "000000000000")],
)
def test_a_key_always_has_a_name(changes: dict[str, Any], name: str) -> None:
    """The alias, what is left of the key, or its digest."""
    assert of(**changes).keys[0].name == name


@pytest.mark.parametrize(
    ("duration", "spend", "allowance", "told"),
    [
        ("1d", 9.0, {"day_nusd": 10_000_000_000}, None),
        ("24h", 0, {"day_nusd": 10_000_000_000}, None),
        ("1mo", 0, {"month_nusd": 10_000_000_000}, None),
        ("7d", 0, {}, "no counterpart for its max_budget of 7d"),
        ("60s", 0, {}, "no counterpart for its max_budget of 60s"),
        (None, 4.0, {"month_nusd": 6_000_000_000}, "what is left of its max_budget"),
        (None, 10.5, {}, "is used up there"),
    ],
)
def test_budgets_of_days_and_months_are_taken(
    duration: str | None, spend: float, allowance: dict[str, int], told: str | None
) -> None:
    """What is left of one for ever is that of a month; the others are told."""
    result = of(budget_duration=duration, spend=spend)
    (key,) = result.keys
    limits = Allowance(requests_per_minute=60, tokens_per_minute=1_000, **allowance)
    assert key.allowance == limits
    assert key.enabled is (spend < 10)
    assert [told in each.reason for each in result.remarks] == ([True] if told else [])


def test_a_shared_budget_fills_what_the_key_leaves_open() -> None:
    """What the key says itself counts more."""
    shared = {"LiteLLM_BudgetTable": [{"budget_id": "b", "max_parallel_requests": 3, "rpm_limit": 1,
                                       "max_budget": 1.0, "budget_duration": "1d"}]}  # fmt: skip
    result = of(shared, budget_id="b", max_budget=None, budget_duration=None)
    assert result.keys[0].allowance == Allowance(
        requests_per_minute=60, tokens_per_minute=1_000, concurrency_max=3, day_nusd=1_000_000_000
    )
    assert of(max_budget=None).keys[0].allowance.month_nusd is None


TEAM = {"LiteLLM_TeamTable": [{"team_id": "t", "models": ["gpt-5", "gpt-6"], "max_budget": 5.0}]}


@pytest.mark.parametrize(
    ("models", "taken"),
    [("[]", ("gpt-5", "gpt-6")), (["all-team-models"], ("gpt-5", "gpt-6")),
     ("{gpt-5}", ("gpt-5",)), (["all-proxy-models"], ())],
)  # fmt: skip
def test_models_may_be_those_of_the_team(models: object, taken: tuple[str, ...]) -> None:
    """And the team's own limits are told."""
    result = of(TEAM, team_id="t", models=models)
    assert result.keys[0].models == taken
    assert [each.reason for each in result.remarks] == [
        "no counterpart for: max_budget of its team"
    ]


def test_a_key_of_no_team_without_models_may_use_all() -> None:
    """A blocked one stays so."""
    (key,) = of(models="[]", blocked=1).keys
    assert (key.models, key.enabled) == ((), False)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"team_id": "litellm-dashboard"}, "it is a login of the dashboard"),
        ({"models": ["no-default-models"]}, "it may use no model at all"),
        ({"max_budget": -1.0}, "max_budget is -1.0: expected 0 to"),
        ({"budget_duration": "soon"}, "budget_duration is 'soon': expected one such as 30d"),
        ({"rpm_limit": 0}, "rpm_limit is 0: it may do nothing"),
        ({"tpm_limit": -1}, "tpm_limit is -1: expected"),
        ({"expires": "soon"}, "expires is 'soon', which is no point in time"),
    ],
)
def test_a_key_that_cannot_be_taken_is_named(changes: dict[str, Any], told: str) -> None:
    """With the reason."""
    result = of(**changes)
    assert result.keys == []
    assert (result.remarks[0].row, result.remarks[0].taken) == (ROW, False)
    assert told in result.remarks[0].reason


def test_what_has_no_counterpart_is_told() -> None:
    """Limits by model, and routes."""
    result = of(model_max_budget='{"gpt-5": 1}', budget_limits=[], allowed_routes=["/chat"])
    assert [each.reason for each in result.remarks] == [
        "no counterpart for: model_max_budget, allowed_routes"
    ]


def test_upstreams_are_named() -> None:
    """Their keys are sealed."""
    result = of({"LiteLLM_ProxyModelTable": [{"model_id": "m", "model_name": "gpt-5"}]})
    assert [(each.name, each.taken) for each in result.remarks] == [("gpt-5", False)]
    assert "salt" in result.remarks[0].reason
