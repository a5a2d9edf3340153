"""Tests of app.store.account_rows."""

import pytest
from msgspec import structs

from app.domain.account import AccountKind, Secret
from app.domain.enrolment import Enrolment
from app.errors import InvalidRequest
from app.store.account_rows import identity

CODEX = Enrolment(name="a", refresh_token=Secret("r"), access_token=Secret("a"))
KEY = Enrolment(name="k", kind=AccountKind.OPENAI, access_token=Secret("sk"))


def test_a_codex_account_is_its_user_in_its_workspace() -> None:
    """Two workspaces of one person are two accounts; a name or a token says nothing."""
    known = structs.replace(CODEX, chatgpt_user_id="u", chatgpt_account_id="w")
    assert identity(known) == identity(
        structs.replace(known, name="b", refresh_token=None, access_token=Secret("other"))
    )
    assert identity(known) != identity(structs.replace(known, chatgpt_account_id="w2"))


def test_an_unknown_codex_account_is_its_refresh_token() -> None:
    """The refresh token is what must not be spent by two rows."""
    assert identity(CODEX) == identity(structs.replace(CODEX, access_token=None))
    assert identity(CODEX) != identity(structs.replace(CODEX, refresh_token=Secret("r2")))


def test_an_api_account_is_its_key_at_its_address() -> None:
    """One key may be sold at two addresses."""
    assert identity(KEY) == identity(structs.replace(KEY, name="other"))
    assert identity(KEY) != identity(structs.replace(KEY, base_url="https://other/v1"))
    assert "sk" not in identity(KEY).split(":")[1]


def test_an_account_without_any_token_is_refused() -> None:
    """There would be nothing to open it with."""
    with pytest.raises(InvalidRequest, match="no token"):
        identity(Enrolment(name="empty"))
