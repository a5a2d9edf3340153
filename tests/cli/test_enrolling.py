"""Tests of app.cli.enrolling."""

import signal

import pytest

from app.cli.enrolling import backlog, identified, uninterrupted
from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.enrolment import Added, Enrolment
from tests.cli.conftest import codex_token


def test_a_token_tells_what_nobody_said() -> None:
    """What is given stands; what is not is read from the token."""
    new = Enrolment(name="", access_token=Secret(codex_token("u")), plan="pro")
    told = identified(new)
    assert (told.name, told.email, told.plan) == ("a@example.com", "a@example.com", "pro")
    assert (told.chatgpt_user_id, told.expires_at) == ("u", 4_102_444_800)


@pytest.mark.parametrize("kind", list(AccountKind))
def test_an_account_always_has_a_name(kind: AccountKind) -> None:
    """An opaque token and an API key tell nothing; people still need a word for them."""
    new = Enrolment(name="", kind=kind, access_token=Secret("opaque"))
    assert identified(new).name == f"{kind.value} account"


def test_an_exchange_is_not_interrupted() -> None:
    """Ctrl-C is not heard meanwhile, and heard again after, even after an error."""
    before = signal.getsignal(signal.SIGINT)

    def break_off() -> None:
        with uninterrupted():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_long_queue_of_first_renewals_is_announced() -> None:
    """Only accounts that have nothing but a refresh token wait in it."""
    waiting, serving = (
        Added(
            Account(
                id=AccountId("a"),
                name="a",
                kind=AccountKind.CODEX,
                credential=Credential(Secret(token), renewable=True),
            ),
            created=True,
        )
        for token in ("", "access")
    )
    assert backlog([serving] * 10_000) == []
    (line,) = backlog([waiting] * 10_000 + [serving])
    assert line.startswith("10000 have only a refresh token.")
    assert "about 84 min" in line
