"""A renewer over fakes in virtual time, with what tests do to it."""

import asyncio
from random import Random

from msgspec import structs

from app.accounts.credentials import CredentialRenewer, RenewalNews, RenewalPolicy, Timing
from app.domain.account import Secret
from app.ports import RenewalRefused
from tests.fakes.auth_server import LIFETIME_S, FakeAuthServer
from tests.fakes.clock import FakeClock, settle
from tests.fakes.credential_store import FakeCredentialStore, account

DAY = 86400.0
HOUR = 3600.0
REUSED = RenewalRefused("refresh_token_reused", "spent", permanent=True)


class World:
    """A renewer over fakes in virtual time; `restart` is what a new process would be."""

    def __init__(self, clock=None):
        self.clock = clock or FakeClock()
        self.server = FakeAuthServer(self.clock)
        self.store = FakeCredentialStore()
        self.renewed = []
        self.failed = []
        self.policy = RenewalPolicy()
        self.task = None
        self.renewer = self.make()

    def make(self):
        """Return a renewer that knows nothing yet."""
        return self.made(self.store, self.store)

    def make_over(self, store, source):
        """Take a renewer that has another store."""
        self.renewer = self.made(store, source)

    def made(self, store, source):
        """Return a renewer over these two."""
        return CredentialRenewer(
            server=self.server,
            store=store,
            source=source,
            timing=Timing(
                clock=self.clock, sleep=self.clock.sleep, rng=Random(7), policy=self.policy
            ),
            news=RenewalNews(
                renewed=self.renewed.append, failed=lambda *news: self.failed.append(news)
            ),
        )

    def add(self, id="a1", *, left_s=5 * DAY, renewable=True):
        """Store an account whose credential ends in `left_s` seconds."""
        expires_at = None if left_s is None else self.clock.now() + left_s
        row = account(id, expires_at=expires_at, renewable=renewable)
        return self.store.put(row, self.server.current(id) if renewable else None)

    async def start(self):
        """Let the renewer run, up to where it first waits for time."""
        self.task = asyncio.create_task(self.renewer.run())
        await settle()

    async def stop(self):
        """Cancel the renewer and give a flight the time to land."""
        self.task.cancel()
        await self.clock.advance(60)
        assert self.task.done()

    async def restart(self):
        """Go on with a renewer that knows only what the store does."""
        self.renewer = self.make()
        await self.start()

    async def now(self, id="a1", generation=0):
        """Ask for a renewal and let a minute pass."""
        asked = asyncio.create_task(self.renewer.renew_now(id, generation=generation))
        await self.clock.advance(60)
        return await asked

    def overtake(self, row):
        """Let another process renew the account."""
        self.server.valid[row.id] += 1
        credential = structs.replace(
            row.credential,
            generation=row.credential.generation + 1,
            access_token=Secret("at-elsewhere"),
            expires_at=self.clock.now() + LIFETIME_S,
        )
        return self.store.put(
            structs.replace(row, credential=credential), self.server.current(row.id)
        )

    def exchanges(self):
        """Return how many exchanges the server saw."""
        return len(self.server.seen)
