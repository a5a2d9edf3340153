"""Tests of app.accounts.refusals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from msgspec import structs

from app.accounts.refusals import Refusals
from app.domain.account import Account, AccountId, AccountKind
from app.domain.outcome import Unauthorized
from app.errors import StateError
from tests.fakes import accounts
from tests.fakes.clock import FakeClock

EXPIRED = Unauthorized(dead=False, reason="token_expired")
DEAD = Unauthorized(dead=True, reason="insufficient_quota")


def key(name: str, *, generation: int = 0) -> Account:
    """Return an account that is opened by a key."""
    return structs.replace(
        accounts.account(name, generation=generation), kind=AccountKind.COMPATIBLE
    )


class Scene:
    """The service, and what it did; the store is away for the first `away` writes."""

    def __init__(self) -> None:
        self.away = 0
        self.urged: list[tuple[str, int]] = []
        self.written: list[tuple[str, int, str, bool]] = []
        self.stored = asyncio.Event()
        self.asleep: list[float] = []
        self.refusals = Refusals(
            renewer=self, rows=self, stored=self._stored, clock=FakeClock(), sleep=self._sleep
        )

    def urge(self, account_id: AccountId, *, generation: int) -> None:
        """Renew soon."""
        self.urged.append((account_id, generation))

    async def refused(
        self, account_id: AccountId, *, generation: int, code: str, permanent: bool, at: float
    ) -> bool:
        """Write down."""
        del at
        if self.away:
            self.away -= 1
            raise StateError("away")
        self.written.append((account_id, generation, code, permanent))
        return True

    async def _stored(self) -> None:
        self.stored.set()

    async def _sleep(self, seconds: float) -> None:
        self.asleep.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """The service, running."""
    made = Scene()
    running = asyncio.create_task(made.refusals.run())
    yield made
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_login_is_renewed_unless_the_account_is_dead(scene):
    """A new credential would be refused as well."""
    scene.refusals.unauthorized(accounts.account("a", generation=3), EXPIRED)
    scene.refusals.unauthorized(accounts.account("b"), DEAD)
    assert (scene.urged, scene.written) == ([("a", 3)], [])


@pytest.mark.parametrize("outcome", [EXPIRED, DEAD])
async def test_a_key_is_written_down_as_dead_and_that_is_told(scene, outcome):
    """Nothing renews it, whatever the upstream calls it."""
    scene.refusals.unauthorized(key("k", generation=2), outcome)
    await scene.stored.wait()
    assert scene.written == [("k", 2, outcome.reason, True)]
    assert scene.urged == []


async def test_a_store_that_is_away_is_asked_until_it_is_back(scene):
    """What more is refused meanwhile is not lost, and nothing is written twice."""
    scene.away = 3
    for _ in range(10):
        scene.refusals.unauthorized(key("k"), DEAD)
    scene.refusals.unauthorized(key("other"), EXPIRED)
    await scene.stored.wait()
    assert [row[0] for row in scene.written] == ["k", "other"]
    assert len(scene.asleep) == 3
