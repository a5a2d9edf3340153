"""The renewer, the authorization server's client and the simulator together, in real time."""

import asyncio
import time
from random import Random

from app.accounts.credentials import CredentialRenewer, RenewalNews, Timing
from app.domain.account import AccountId
from app.upstream.auth_server import OAuthServer, Route, trust_store
from loadtests.simulator.config import fast
from loadtests.simulator.server import Simulator
from tests.fakes.credential_store import FakeCredentialStore, account


class RealClock:
    """Satisfies `app.ports.Clock`."""

    def now(self):
        """Return epoch seconds."""
        return time.time()

    def monotonic(self):
        """Return seconds of the machine's steady clock."""
        return time.monotonic()


async def test_a_hundred_calls_with_expired_tokens_cause_one_refresh_of_each_account():
    """And never two at once: the simulator would note it as a violation."""
    async with Simulator(fast(accounts=3)) as simulator:
        store, clock = FakeCredentialStore(), RealClock()
        world = simulator.world
        for simulated in world.accounts.by_id.values():
            row = account(simulated.id, expires_at=clock.now() + 86_400)
            store.put(row, world.accounts.refresh_token(simulated))
        renewer = CredentialRenewer(
            server=OAuthServer(
                issuer=simulator.url,
                user_agent="codex2api/1",
                originator="codex2api",
                route=Route(tls=trust_store(None)),
                clock=clock,
            ),
            store=store,
            source=store,
            timing=Timing(clock=clock, sleep=asyncio.sleep, rng=Random(1)),
            news=RenewalNews(renewed=lambda _: None, failed=lambda *_: None),
        )
        for row in store.rows.values():
            renewer.watch(row)
        running = asyncio.create_task(renewer.run())
        await asyncio.sleep(0)
        ids = [AccountId(name) for name in world.accounts.by_id for _ in range(100)]
        found = await asyncio.gather(*(renewer.renew_now(one, generation=0) for one in ids))
        running.cancel()
        await asyncio.wait([running])
        assert {one.credential.generation for one in found} == {1}
        assert [one.refreshes for one in world.accounts.by_id.values()] == [1, 1, 1]
        assert world.gauges.refreshing_max == 1
        assert not world.ledger.violations
