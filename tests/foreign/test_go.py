"""Tests of app.foreign.go."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.domain.account import AccountKind, Secret
from app.domain.caller import Allowance
from app.foreign.found import Found, FoundKey, Remark, WrongSecret
from app.foreign.go import found
from tests.foreign.sources import go_rows

SECRET = "the text of a key"


def sealed(field: str, plain: str, *, secret: str = SECRET) -> str:
    """Return a value as the Go version seals it."""
    key = sha256(secret.encode()).digest()
    nonce = hmac.digest(key, plain.encode(), "sha256")[:12]
    body = AESGCM(key).encrypt(nonce, plain.encode(), field.encode())
    return "enc:v1:" + urlsafe_b64encode(nonce + body).decode().rstrip("=")


def account(**changes: Any) -> dict[str, Any]:
    """Return a row of an account that can be taken, with changes."""
    return {"id": 1, "credentials": {"refresh_token": "rt_1"}, "name": "one"} | changes


def key(**changes: Any) -> dict[str, Any]:
    """Return a row of a key that can be taken, with changes."""
    return {"id": 1, "name": "ci", "key": "sk-of-the-go-version"} | changes


def of(
    *, accounts: list[dict[str, Any]] | None = None, keys: list[dict[str, Any]] | None = None,
    groups: list[dict[str, Any]] | None = None, secret: str | None = None,
) -> Found:  # fmt: skip
    """Return what is found in these rows."""
    tables = {
        "accounts": accounts or [], "api_keys": keys or [], "account_groups": groups or []
    }  # fmt: skip
    return found(tables, secret=secret)


def test_an_account_comes_with_its_settings() -> None:
    """Groups, tags, proxy, concurrency; the key that was for its group still is."""
    result = found(go_rows("at-1"), secret=None)
    (taken,) = result.accounts
    assert taken.row == "accounts 1"
    assert (taken.new.name, taken.new.plan, taken.new.enabled) == ("one", "plus", True)
    assert (taken.new.groups, taken.new.tags) == (("team a",), ("eu",))
    assert taken.new.refresh_token == Secret("rt_go")
    assert taken.new.access_token == Secret("at-1")
    assert taken.new.proxy_url == Secret("socks5://u:p@proxy.example:1080")
    assert taken.new.concurrency_max == 4
    assert result.keys == [
        FoundKey(
            row="api_keys 1", name="ci", key=Secret("sk-of-the-go-version"), groups=("team a",),
            allowance=Allowance(requests_per_minute=60, day_nusd=2_500_000_000),
        )
    ]  # fmt: skip
    assert result.remarks == []


@pytest.mark.parametrize(
    ("base_url", "taken"),
    [("https://api.openai.com", "https://api.openai.com/v1"),
     ("https://relay.example/v1/", "https://relay.example/v1")],
)  # fmt: skip
def test_an_account_with_an_api_key(base_url: str, taken: str) -> None:
    """The Go version adds the version to a bare address by itself."""
    credentials = {
        "upstream_type": "openai_responses", "api_key": "sk-1", "base_url": base_url,
        "models": ["gpt-5"], "email": "https://api.openai.com",
    }  # fmt: skip
    (each,) = of(accounts=[account(credentials=credentials, enabled=0)]).accounts
    assert (each.new.kind, each.new.base_url) == (AccountKind.OPENAI, taken)
    assert (each.new.models, each.new.enabled) == (("gpt-5",), False)
    assert each.new.email is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": "deleted"}, "it was deleted there"),
        ({"deleted_at": "2026-01-01"}, "it was deleted there"),
        ({"platform": "grok"}, "it is of the platform grok, which is not supported"),
        ({"credentials": {"upstream_type": "grok_web"}}, "its upstream is grok_web, which is not"),
        ({"credentials": "{"}, "credentials is no JSON"),
        ({"credentials": {}}, "no refresh_token, access_token or api_key in it"),
        ({"credentials": {"session_token": "s"}}, "session_token alone is not supported"),
        ({"proxy_url": "vmess://x"}, "proxy_url is no http, https or socks5 URL"),
        ({"tags": ["a,b"]}, "tags: 'a,b' has a comma"),
        ({"base_concurrency_override": -1}, "base_concurrency_override is -1: expected"),
        ({"credentials": {"refresh_token": sealed("refresh_token", "rt")}}, "--key-file"),
    ],
)
def test_an_account_that_cannot_be_taken_is_named(changes: dict[str, Any], told: str) -> None:
    """With the reason, and the others are taken."""
    result = of(accounts=[account(id=9, **changes), account()])
    assert [each.row for each in result.accounts] == ["accounts 1"]
    (remark,) = result.remarks
    assert (remark.row, remark.taken) == ("accounts 9", False)
    assert told in remark.reason


def test_sealed_tokens_are_opened() -> None:
    """With the text of the key; those in clear beside them too."""
    credentials = {"refresh_token": sealed("refresh_token", "rt_2"), "access_token": "at-2"}
    rows = [account(), account(id=2, credentials=credentials)]
    result = of(accounts=rows, secret=f"{SECRET}\n")
    assert [each.new.refresh_token for each in result.accounts] == [Secret("rt_1"), Secret("rt_2")]


def test_a_damaged_token_is_told_from_a_wrong_key() -> None:
    """If the key opens nothing at all, that is said once, and nothing is taken."""
    good = {"refresh_token": sealed("refresh_token", "rt_2")}
    moved = {"refresh_token": sealed("access_token", "rt_3")}
    rows = [account(id=2, credentials=good), account(id=3, credentials=moved)]
    result = of(accounts=rows, secret=SECRET)
    assert [each.row for each in result.accounts] == ["accounts 2"]
    assert result.remarks[0].reason == "the key does not open its refresh_token"
    with pytest.raises(WrongSecret, match="does not open the tokens of this database"):
        of(accounts=rows, secret="another")


BUDGET = 10_000_000_000


@pytest.mark.parametrize(
    ("changes", "allowance", "enabled", "told"),
    [
        ({"quota_limit": 0, "limits": "{}"}, Allowance(), True, None),
        ({"quota_limit": 30, "quota_used": 20}, Allowance(month_nusd=BUDGET), True,
         "what is left of its quota_limit"),
        ({"quota_limit": 30, "quota_used": 31}, Allowance(), False, "is used up there"),
        ({"quota_limit": 30, "limits": {"cost_limit_30d": 10}}, Allowance(month_nusd=BUDGET), True,
         "budget of a calendar month"),
        ({"limits": '{"cost_limit_30d": 10, "max_concurrency": 3}'},
         Allowance(month_nusd=BUDGET, concurrency_max=3), True, "budget of a calendar month"),
        ({"limits": {"rpd": 5, "cost_limit_5h": 1, "plan_allow": [], "token_limit_7d": 0}},
         Allowance(), True, "no counterpart for limits: cost_limit_5h, rpd"),
    ],
)  # fmt: skip
def test_limits_are_taken_as_near_as_they_go(
    changes: dict[str, Any], allowance: Allowance, *, enabled: bool, told: str | None
) -> None:
    """And what has no counterpart is told."""
    result = of(keys=[key(**changes)])
    (each,) = result.keys
    assert (each.allowance, each.enabled) == (allowance, enabled)
    assert all(remark.taken for remark in result.remarks)
    assert told is None or any(told in remark.reason for remark in result.remarks)
    assert bool(told) == bool(result.remarks)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"quota_limit": -5}, "quota_limit is -5: expected 0 to 1000000"),
        ({"limits": {"cost_limit_daily": 1e12}}, "limits.cost_limit_daily is 1000000000000.0"),
        ({"limits": {"rpm": -1}}, "limits.rpm is -1: expected"),
        ({"expires_at": "some day"}, "expires_at is 'some day', which is no point in time"),
        ({"key": "x"}, "its key can't be taken: expected 3 to 256"),
        ({"key": "a b c"}, "its key can't be taken"),
        ({"allowed_group_ids": [5]}, "names only groups that are gone"),
    ],
)
def test_a_key_that_cannot_be_taken_is_named(changes: dict[str, Any], told: str) -> None:
    """A misread limit would be no limit, so the whole row stays away."""
    result = of(keys=[key(id=9, **changes)])
    assert result.keys == []
    assert [each.row for each in result.remarks] == ["api_keys 9"]
    assert told in result.remarks[0].reason


def test_a_key_without_a_name_is_called_by_its_row() -> None:
    """And one with an end keeps it; a group that is gone is left out."""
    rows = [key(name="", expires_at="2100-01-01 00:00:00", allowed_group_ids="[1, 2]")]
    (each,) = of(keys=rows, groups=[{"id": 1, "name": "a"}, {"id": 2, "name": ""}]).keys
    assert (each.name, each.expires_at, each.groups) == ("key 1", 4_102_444_800.0, ("a",))


def test_remarks_hold_no_secret() -> None:
    """They are printed."""
    result = of(keys=[key(key="a b c")], accounts=[account(proxy_url="x://user:password@h")])
    assert (result.accounts, result.keys) == ([], [])
    assert all(isinstance(each, Remark) for each in result.remarks)
    assert "password" not in str(result.remarks)
    assert "a b c" not in str(result.remarks)
