"""Tests of app.foreign.codex_lb."""

from typing import Any

import pytest

from app.domain.account import Secret
from app.domain.caller import Allowance
from app.domain.enrolment import KeyDigest
from app.foreign.codex_lb import found
from app.foreign.found import Found, FoundKey, WrongSecret
from tests.foreign.sources import FERNET_KEY, Rows, codex_lb_rows


def of(rows: Rows, *, secret: str | None = f"{FERNET_KEY}\n") -> Found:
    """Return what is found in these rows."""
    return found(rows, secret=secret)


def with_account(**changes: Any) -> Rows:
    """Return the rows with something else in the account's."""
    rows = codex_lb_rows("at-1")
    rows["accounts"][0] |= changes
    return rows


def with_key(**changes: Any) -> Rows:
    """Return the rows with something else in the key's."""
    rows = codex_lb_rows("at-1")
    rows["api_keys"][0] |= changes
    return rows


def with_limit(**changes: Any) -> Rows:
    """Return the rows with a second limit."""
    rows = codex_lb_rows("at-1")
    first = rows["api_key_limits"][0]
    rows["api_key_limits"].append(first | {"id": 2} | changes)
    return rows


def test_accounts_and_keys_are_found() -> None:
    """The accounts with their tokens, of the keys all but the key."""
    result = of(codex_lb_rows("at-1"))
    (each,) = result.accounts
    assert (each.new.name, each.new.email, each.new.enabled) == (
        "a@example.com", "a@example.com", True,
    )  # fmt: skip
    assert each.new.access_token == Secret("at-1")
    assert each.new.refresh_token == Secret("rt_lb")
    assert each.new.id_token is None
    assert result.keys == [
        FoundKey(
            row="api_keys k1", name="ci", key=KeyDigest(bytes(32)), models=("gpt-5",),
            expires_at=4_102_444_800.0,
            allowance=Allowance(day_nusd=2_500_000_000),
        )
    ]  # fmt: skip
    assert result.remarks == []


def test_the_bytes_may_come_as_a_view_or_a_text() -> None:
    """Drivers differ."""
    rows = codex_lb_rows("at-1")
    sealed = rows["accounts"][0]
    sealed["access_token_encrypted"] = memoryview(sealed["access_token_encrypted"])
    sealed["refresh_token_encrypted"] = sealed["refresh_token_encrypted"].decode()
    sealed["id_token_encrypted"] = None
    assert len(of(rows).accounts) == 1


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        (None, "name its key file with --key-file"),
        ("short", "expected 32 bytes in URL-safe base64"),
        ("A" * 43 + "=", "does not open the tokens of this database"),
    ],
)
def test_a_wrong_key_is_told_once(secret: str | None, told: str) -> None:
    """And nothing is taken."""
    with pytest.raises(WrongSecret, match=told):
        of(codex_lb_rows("at-1"), secret=secret)


def test_one_damaged_account_does_not_stop_the_others() -> None:
    """It is named."""
    rows = codex_lb_rows("at-1")
    rows["accounts"].append(rows["accounts"][0] | {"id": "a2", "access_token_encrypted": b"x"})
    result = of(rows)
    assert [each.row for each in result.accounts] == ["accounts a1"]
    assert [(each.row, each.reason) for each in result.remarks] == [
        ("accounts a2", "the key does not open its tokens")
    ]


@pytest.mark.parametrize(
    ("changes", "enabled", "told"),
    [
        ({"alias": "mine", "routing_policy": "normal"}, True, None),
        ({"status": "RATE_LIMITED"}, True, None),
        ({"status": "PAUSED"}, False, "it is paused there, so it is disabled here"),
        ({"routing_policy": "burn_first"}, True, "routing_policy burn_first has no counterpart"),
    ],
)
def test_an_account_keeps_its_state(
    changes: dict[str, Any], *, enabled: bool, told: str | None
) -> None:
    """Limits pass by themselves; what an operator decided is taken over."""
    result = of(with_account(**changes))
    (each,) = result.accounts
    assert each.new.enabled is enabled
    assert each.new.name == changes.get("alias", "a@example.com")
    assert [told in remark.reason for remark in result.remarks] == ([True] if told else [])


def test_an_account_behind_a_proxy_does_not_go_directly() -> None:
    """It is disabled until it has one here; a binding that was switched off does not count."""
    rows = codex_lb_rows("at-1")
    rows["account_proxy_bindings"] = [{"account_id": "a1", "is_active": 0}]
    assert of(rows).accounts[0].new.enabled
    rows["account_proxy_bindings"] = [{"account_id": "a1"}]
    result = of(rows)
    assert not result.accounts[0].new.enabled
    assert "goes through a proxy there" in result.remarks[0].reason


def test_an_account_that_is_being_deleted_is_not_taken() -> None:
    """Nor are upstreams of other kinds, which are named."""
    rows = with_account(delete_requested_at="2026-01-01")
    rows["model_sources"] = [{"id": "m1", "name": "local"}]
    result = of(rows)
    assert result.accounts == []
    assert [each.row for each in result.remarks] == ["accounts a1", "model_sources m1"]
    assert not any(each.taken for each in result.remarks)


@pytest.mark.parametrize(
    ("changes", "allowance", "lost"),
    [
        ({"limit_window": "MONTHLY", "max_value": 9_000_000},
         Allowance(day_nusd=2_500_000_000, month_nusd=9_000_000_000), None),
        ({"max_value": 1_000_000}, Allowance(day_nusd=1_000_000_000), None),
        ({"limit_window": "weekly"}, Allowance(day_nusd=2_500_000_000), "cost_usd weekly"),
        ({"limit_type": "total_tokens"}, Allowance(day_nusd=2_500_000_000), "total_tokens daily"),
        ({"model_filter": "gpt-5"}, Allowance(day_nusd=2_500_000_000), "cost_usd daily"),
        ({"max_value": None}, Allowance(day_nusd=2_500_000_000), None),
    ],
)  # fmt: skip
def test_budgets_of_days_and_months_are_taken(
    changes: dict[str, Any], allowance: Allowance, lost: str | None
) -> None:
    """Of two for the same time the smaller; the others are told."""
    result = of(with_limit(**changes))
    assert result.keys[0].allowance == allowance
    assert [each.reason for each in result.remarks] == (
        [f"no counterpart for: {lost}"] if lost else []
    )


def test_a_negative_budget_is_refused() -> None:
    """By the row of the limit."""
    result = of(with_limit(max_value=-1))
    assert result.keys == []
    assert result.remarks[0].reason.startswith("max_value of api_key_limits 2 is -1: expected 0 to")


def test_what_binds_a_key_to_more_is_told() -> None:
    """It can be said again here with groups."""
    changes = {"enforced_model": "gpt-5", "account_assignment_scope_enabled": 1, "is_active": 0,
               "enforced_service_tier": "auto", "name": ""}  # fmt: skip
    result = of(with_key(**changes))
    assert result.remarks[0].reason == (
        "no counterpart for: enforced_model, account_assignment_scope_enabled"
    )
    assert (result.keys[0].enabled, result.keys[0].name) == (False, "api_keys k1")


def test_an_old_version_has_no_keys() -> None:
    """Its accounts are taken all the same."""
    assert of({"accounts": codex_lb_rows("at-1")["accounts"]}).keys == []
