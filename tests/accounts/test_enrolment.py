"""Tests of app.accounts.enrolment."""

from base64 import urlsafe_b64encode

import msgspec
import pytest
from msgspec import structs

from app.accounts.enrolment import enrolment, whose
from app.accounts.new_account import NewAccount
from app.domain.account import AccountKind, Secret
from app.domain.enrolment import Identity
from app.ports import Tokens

NOTHING = Tokens(access_token=None, refresh_token=None, id_token=None, expires_at=None)


def jwt(**auth: str) -> Secret:
    """Return an unsigned token with the claims that say whose it is."""
    payload = msgspec.json.encode({"email": "a@b", "https://api.openai.com/auth": auth})
    return Secret(f"e30.{urlsafe_b64encode(payload).decode()}.x")


def test_every_field_of_an_account_reaches_the_store() -> None:
    """A field that is new on one side fails here until the other side has it."""
    new = NewAccount(
        name="n",
        kind=AccountKind.CODEX,
        refresh_token=Secret("r"),
        access_token=Secret("a"),
        id_token=Secret("i"),
        base_url="https://b",
        email="e",
        chatgpt_user_id="u",
        chatgpt_account_id="w",
        plan="p",
        fedramp=True,
        expires_at=1.0,
        choices={"priority": 7, "groups": ("g",)},
    )
    told = structs.asdict(enrolment(new))
    given = structs.asdict(new)
    assert given.pop("api_key") is None
    given |= given.pop("choices")
    assert {name: told[name] for name in given} == given


def test_an_api_key_is_the_access_token_of_its_kind() -> None:
    """The store knows one kind of token that opens an account."""
    new = NewAccount(name="k", kind=AccountKind.OPENAI, api_key=Secret("sk"))
    assert enrolment(new).access_token == Secret("sk")


def test_tokens_tell_whose_they_are() -> None:
    """Either token will do; what it says besides comes along."""
    token = jwt(chatgpt_user_id="u", chatgpt_account_id="w", chatgpt_plan_type="plus")
    who = Identity("u", "w", email="a@b", plan="plus")
    assert whose(structs.replace(NOTHING, access_token=token)) == who
    assert whose(structs.replace(NOTHING, id_token=token)) == who


@pytest.mark.parametrize(
    "tokens",
    [
        NOTHING,
        structs.replace(NOTHING, access_token=Secret("at-opaque")),
        structs.replace(NOTHING, access_token=jwt(chatgpt_user_id="u")),
        structs.replace(NOTHING, access_token=jwt(chatgpt_account_id="w")),
    ],
)
def test_half_an_identity_is_none(tokens: Tokens) -> None:
    """A user without a workspace could be several accounts."""
    assert whose(tokens) is None
