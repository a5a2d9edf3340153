"""Tests of app.accounts.enrolling."""

import asyncio

import pytest

from app.accounts.enrolling import BATCH, Enroller, backlog, identified
from app.accounts.new_account import NewAccount
from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.enrolment import Added, Enrolment
from app.errors import InvalidRequest, UpstreamError
from app.ports import RenewalRefused, RenewalUnknown, RenewalUnsent
from tests.cli.conftest import codex_token
from tests.fakes.accounts import account
from tests.fakes.auth_server import FakeAuthServer
from tests.fakes.clock import FakeClock


class Rows:
    """Where accounts are stored."""

    def __init__(self) -> None:
        self.added: list[tuple[Enrolment, bool]] = []
        self.batches: list[int] = []

    async def add(self, new: Enrolment, *, at: float, issued_now: bool = False) -> Added:
        """Keep one."""
        del at
        self.added.append((new, issued_now))
        return Added(account(new.name), created=True)

    async def add_all(self, new, *, at: float) -> list[Added]:
        """Keep many."""
        self.batches.append(len(new))
        return [await self.add(each, at=at) for each in new]


class Desk:
    """An enroller with what is behind it."""

    def __init__(self) -> None:
        self.clock, self.rows = FakeClock(), Rows()
        self.server = FakeAuthServer(self.clock, latency_s=0.0)
        self.enroller = Enroller(server=self.server, rows=self.rows, clock=self.clock)


async def test_a_refresh_token_alone_is_exchanged_first():
    """Nobody else knows of it meanwhile, and what it bought is the freshest there is."""
    desk = Desk()
    token = Secret(desk.server.current("a"))
    adding = asyncio.ensure_future(desk.enroller.enrol(Enrolment(name="a", refresh_token=token)))
    await desk.clock.advance(1.0)
    await adding
    ((new, issued_now),) = desk.rows.added
    assert issued_now
    assert new.access_token
    assert new.refresh_token == Secret(desk.server.current("a"))


@pytest.mark.parametrize(("failure", "kind", "words"), [
    (RenewalRefused("invalid_grant", "spent", permanent=True), InvalidRequest, "invalid_grant"),
    (RenewalUnsent("no connection"), UpstreamError, "as good as before"),
    (RenewalUnknown("silence"), UpstreamError, "may be spent"),
])  # fmt: skip
async def test_a_failed_exchange_stores_nothing(failure, kind, words):
    """And says what became of the token."""
    desk = Desk()
    desk.server.before = [failure]
    with pytest.raises(kind, match=words):
        await desk.enroller.enrol(Enrolment(name="a", refresh_token=Secret("rt-a-0")))
    assert desk.rows.added == []


async def test_many_are_stored_in_batches_as_they_are():
    """What was chosen counts more than what they say."""
    desk = Desk()
    found = [
        NewAccount(name=str(number), kind=AccountKind.CODEX, refresh_token=Secret(f"rt-{number}"))
        for number in range(BATCH + 1)
    ]
    done: list[int] = []
    added = await desk.enroller.enrol_all(found, done=done.append, chosen={"priority": 3})
    assert (len(added), done, desk.rows.batches) == (BATCH + 1, [BATCH, 1], [BATCH, 1])
    assert {new.priority for new, _ in desk.rows.added} == {3}
    assert desk.server.seen == []


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
