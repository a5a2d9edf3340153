"""Tests of app.accounts.api_accounts."""

import pytest

from app.accounts.api_accounts import api_account
from app.domain.account import AccountKind, Secret
from app.errors import InvalidRequest

OPENAI, COMPATIBLE = AccountKind.OPENAI, AccountKind.COMPATIBLE
URL = "https://llm.example.com/v1"


def test_a_key_of_the_platform_is_enough():
    """Its address is known."""
    new = api_account(kind=OPENAI, api_key=Secret(" sk-1 "))
    assert (new.kind, new.base_url, new.name) == (OPENAI, None, "OpenAI platform")
    assert new.access_token == Secret("sk-1")


def test_a_server_may_do_without_a_key():
    """It is called by its host if nobody names it."""
    new = api_account(kind=COMPATIBLE, base_url=f"{URL}/", served=["m", " m "], named={"a": "b"})
    assert (new.base_url, new.name, new.access_token) == (URL, "llm.example.com", None)
    assert (new.models, new.model_map) == (("m",), {"a": "b"})


def test_what_only_the_platform_has_is_kept():
    """Nothing is None."""
    new = api_account(kind=OPENAI, api_key=Secret("k"), organization="org-1", project=" ")
    assert (new.organization, new.project) == ("org-1", None)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"kind": AccountKind.CODEX}, "kind"),
        ({"kind": OPENAI}, "api_key"),
        ({"kind": OPENAI, "api_key": Secret("a b")}, "api_key"),
        ({"kind": OPENAI, "api_key": Secret("a" * 200_000)}, "api_key"),
        ({"kind": COMPATIBLE}, "base_url"),
        ({"kind": COMPATIBLE, "base_url": "http://169.254.169.254/v1"}, "base_url"),
        ({"kind": COMPATIBLE, "base_url": URL, "name": "x" * 300}, "name"),
        ({"kind": COMPATIBLE, "base_url": URL, "served": [""]}, "models"),
        (
            {"kind": COMPATIBLE, "base_url": URL, "served": [f"m{n}" for n in range(2_000)]},
            "models",
        ),
        ({"kind": COMPATIBLE, "base_url": URL, "named": {"a": ""}}, "model_map"),
        (
            {"kind": COMPATIBLE, "base_url": URL, "named": {f"m{n}": "x" for n in range(2_000)}},
            "model_map",
        ),
        ({"kind": OPENAI, "api_key": Secret("k"), "organization": "a\nb"}, "organization"),
        ({"kind": OPENAI, "api_key": Secret("k"), "project": "a b"}, "project"),
    ],
)
def test_a_wrong_field_is_named(fields, param):
    """Before anything is stored."""
    with pytest.raises(InvalidRequest) as caught:
        api_account(**fields)
    assert caught.value.param == param
