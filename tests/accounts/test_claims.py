"""Tests of app.accounts.claims."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts.claims import NOTHING, TOKEN_CHARS_MAX, Claims, identity, read
from tests.accounts.tokens import EXP, auth, jwt, payload


def test_the_claims_of_a_login_are_read():
    """User, account, address, plan and end, each from its place."""
    assert read(jwt(payload())) == Claims(
        chatgpt_user_id="user-1",
        chatgpt_account_id="acc-00001",
        email="user-1@example.com",
        plan="plus",
        fedramp=False,
        expires_at=EXP,
    )


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (
            {"https://api.openai.com/profile": {"email": "p@example.com"}},
            {"email": "p@example.com"},
        ),
        (auth(user_id="old-1"), {"chatgpt_user_id": "old-1"}),
        (auth(chatgpt_plan_type="a plan of next year"), {"plan": "a plan of next year"}),
        (auth(chatgpt_account_is_fedramp=True), {"fedramp": True}),
        (auth(chatgpt_account_is_fedramp="true"), {}),
        (auth(chatgpt_account_id=""), {}),
        (auth(chatgpt_account_id=7), {}),
        ({"https://api.openai.com/auth": "text"}, {}),
        ({"exp": 12.5}, {"expires_at": 12.5}),
        ({"exp": True}, {}),
        ({"exp": "1800000000"}, {}),
        ({"exp": -1}, {}),
        ({"exp": 1e300}, {}),
        ([], {}),
    ],
)
def test_each_claim_may_be_missing_or_of_a_wrong_type(claims, expected):
    """What can't be read counts as not said."""
    assert read(jwt(claims)) == Claims(**expected)


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "at-opaque",
        "a.b",
        "a.b.c.d.e",
        "a.%%%.c",
        "a.é.c",
        "a." + urlsafe_b64encode(b"{not json").decode() + ".c",
        "a." + urlsafe_b64encode(b"[" * 3000).decode() + ".c",
        "a." + urlsafe_b64encode(b'"\xff\xfe"').decode() + ".c",
        jwt({"email": "x" * TOKEN_CHARS_MAX}),
    ],
)
def test_a_token_without_readable_claims_has_none(token):
    """Opaque, damaged and oversized tokens are no fault."""
    assert read(token) == NOTHING


@given(st.text(max_size=200))
def test_no_text_at_all_makes_it_raise(text):
    """Anything can stand where a token is expected."""
    read(text)
    read(f"a.{text}.b")


def test_the_id_token_comes_first_and_gaps_are_filled_from_the_other():
    """But only the access token's own end counts."""
    id_token = jwt({"exp": 5, **auth(chatgpt_user_id="user-1")})
    access = jwt({"exp": 9, "email": "a@example.com", **auth(chatgpt_user_id="user-2")})
    found = identity(id_token=id_token, access_token=access)
    assert found == Claims(chatgpt_user_id="user-1", email="a@example.com", expires_at=9)
    assert identity(id_token=id_token, access_token=None).expires_at is None
    assert identity(id_token=None, access_token=None) == NOTHING
