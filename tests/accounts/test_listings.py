"""Tests of app.accounts.listings, in virtual time."""

import asyncio

from app.accounts.listings import REFRESH_S, RETRY_FIRST_S, Listings
from app.domain.account import AccountKind
from app.ports import ModelsUnavailable
from tests.fakes.accounts import account
from tests.fakes.virtual import LoopClock, virtual


class World:
    """Accounts, what their upstreams say, and what is heard of it."""

    def __init__(self, *accounts) -> None:
        self.accounts = list(accounts)
        self.answers = {}
        self.asked = []
        self.news = 0
        self.listings = Listings(
            source=self,
            accounts=lambda: self.accounts,
            learnt=self._learnt,
            clock=LoopClock(),
            sleep=asyncio.sleep,
        )

    async def models(self, asked):
        """Answer as an upstream."""
        self.asked.append((asked.id, LoopClock().monotonic()))
        await asyncio.sleep(0.1)
        answer = self.answers.get(asked.id)
        if answer is None:
            raise ModelsUnavailable("away")
        return answer

    async def run(self, seconds):
        """Let it work for so long."""
        task = asyncio.get_running_loop().create_task(self.listings.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _learnt(self):
        self.news += 1


def key(name, **changes):
    """Return an account with a key."""
    return account(name, kind=AccountKind.OPENAI, **changes)


@virtual
async def test_only_accounts_with_a_key_and_without_a_list_are_asked():
    """At once, and again after a while; only what is new is told."""
    listed, off = key("listed", models=("m",)), key("off", enabled=False)
    world = World(key("a"), account("codex"), listed, off)
    world.answers["a"] = ("m1", "m2")
    await world.run(REFRESH_S + 10)
    assert [name for name, _ in world.asked] == ["a", "a"]
    assert world.listings.models == {"a": ("m1", "m2")}
    assert world.news == 1


@virtual
async def test_an_upstream_that_is_away_is_asked_ever_later():
    """What it had stays known; it is not forgotten for being away."""
    world = World(key("a"))
    await world.run(RETRY_FIRST_S * 8)
    first, *later = [at for _, at in world.asked]
    gaps = [b - a for a, b in zip([first, *later], later, strict=False)]
    assert len(gaps) >= 2
    assert gaps == sorted(gaps)
    assert world.listings.models == {}
    world.answers["a"] = ("m1",)
    await world.run(RETRY_FIRST_S * 16)
    del world.answers["a"]
    await world.run(REFRESH_S + 10)
    assert world.listings.models == {"a": ("m1",)}


@virtual
async def test_an_account_that_changed_is_asked_at_once():
    """Another address or another key may have other models; one that is gone is forgotten."""
    world = World(key("a"))
    world.answers["a"] = ("m1",)
    await world.run(5)
    world.accounts = [key("a", generation=1)]
    world.answers["a"] = ("m2",)
    await world.run(5)
    assert world.listings.models == {"a": ("m2",)}
    assert world.news == 2
    world.accounts = []
    await world.run(5)
    assert world.listings.models == {}
