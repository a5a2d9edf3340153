"""One simulated process of the gateway: the production parts over simulated ports.

Nothing of a process outlives it but what it has stored. `kill` drops its tasks wherever they are;
while they unwind, the ports let nothing out any more.
"""

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

from app.accounts.credentials import CredentialRenewer, RenewalNews, Timing
from app.accounts.deadlines import RenewalPolicy
from app.domain.account import Account, AccountId
from app.domain.call import Call
from app.domain.outcome import Outcome, Unauthorized
from app.domain.usage import Heard
from app.errors import StateError
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool, Lease, NotBefore
from app.relay.admission import Admission
from app.relay.relay import Relay, RelaySettings
from tests.simulation.clocks import SettableClock
from tests.simulation.overseer import Overseer, Record

if TYPE_CHECKING:
    from tests.simulation.world import World

SETTINGS = RelaySettings(
    attempts_max=4,
    first_event_timeout_s=8.0,
    idle_timeout_s=6.0,
    prelude_bytes_max=65_536,
    event_bytes_max=1 << 20,
    reply_bytes_max=4 << 20,
    error_body_bytes_max=4_096,
    renewal_wait_s=15.0,
)
QUEUE_WAIT_S = 10.0
FOLLOW_S = 5.0
"""How often the store's revision is read."""


class WatchedPool(AccountPool):
    """The production pool, which tells the overseer whom it leases."""

    def __init__(self, process: "Process", **known: Any) -> None:
        super().__init__(**known)
        self._process = process
        self.out: dict[int, str] = {}
        """Leases that are out, and their calls."""

    def lease(
        self, call: Call, *, excluding: frozenset[AccountId], **known: Any
    ) -> Lease | NotBefore:
        """Lease, and tell."""
        found = super().lease(call, excluding=excluding, **known)
        if isinstance(found, Lease):
            self.out[found.number] = call.id
            self._process.overseer.leased(self._process, call, found)
        else:
            self._process.overseer.waits(call, excluding)
        return found

    def settle(self, lease: Lease, outcome: Outcome, *, now: float) -> None:
        """Settle, and tell."""
        del self.out[lease.number]
        super().settle(lease, outcome, now=now)


class Process:
    """Start it, send it calls, and kill or stop it."""

    def __init__(self, world: "World", pid: str) -> None:
        self.world = world
        self.pid = pid
        self.overseer: Overseer = world.overseer
        self.alive = True
        self.ready = False
        """It has read the store and takes calls."""
        self.calls: dict[str, Record] = {}
        """Those that are not over."""
        self.failed: list[tuple[AccountId, bool, str]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._revision = -1
        rng = Random(f"{world.seed} {pid}")
        loop = world.loop
        self.clock = SettableClock(loop, ahead_s=world.clock_ahead_s)
        self.pool = WatchedPool(
            self, rng=rng, affinity=AffinityTable(entries_max=1_000, ttl_s=86_400.0)
        )
        self.admission = Admission(
            pool=self.pool, clock=self.clock, queue_max=1_000, queue_wait_s=QUEUE_WAIT_S
        )
        self.store = world.vault.link(self)
        self.renewer = CredentialRenewer(
            server=world.authority.link(self),
            store=self.store,
            source=self.store,
            timing=Timing(clock=self.clock, sleep=asyncio.sleep, rng=rng, policy=RenewalPolicy()),
            news=RenewalNews(renewed=self._renewed, failed=self._failed),
        )
        self.relay = Relay(
            pool=self.pool,
            admission=self.admission,
            upstream=world.backend.link(self),
            renew=lambda account_id, generation: self.renewer.renew_now(
                account_id, generation=generation
            ),
            clock=self.clock,
            rng=rng,
            observer=self,
            settings=SETTINGS,
        )

    def start(self) -> None:
        """Begin to run."""
        create = self.world.loop.create_task_of
        self._tasks = [
            create(self, self._follow(), name=f"{self.pid} follow"),
            create(self, self._renew(), name=f"{self.pid} renew"),
        ]

    def kill(self) -> None:
        """End the process between two instructions."""
        self.alive = self.ready = False
        self.world.loop.drop(self)
        for record in list(self.calls.values()):
            if record.end is None:
                self.overseer.ended(record, "killed")
        self.calls.clear()

    async def stop(self) -> None:
        """End the process as a deployment does: calls first, then what has begun lands."""
        self.ready = False
        while self.calls:  # noqa: ASYNC110 - in virtual time it costs nothing to look
            await asyncio.sleep(1.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        if not self.alive:
            return  # killed meanwhile
        self.overseer.finish(self)
        self.alive = False

    def leased(self, call: Call, reason: str, waited_s: float) -> None:
        """Satisfy `app.ports.Observer`."""

    def refused(self, call: Call, code: str, waited_s: float) -> None:
        """Satisfy `app.ports.Observer`."""
        del code, waited_s
        self.overseer.refused(call)

    def began(self, call: Call, account: Account) -> None:
        """Satisfy `app.ports.Observer`."""

    def attempt(self, call: Call, account: Account, outcome: Outcome, heard: Heard | None) -> None:
        """Satisfy `app.ports.Observer`."""
        del heard
        if isinstance(outcome, Unauthorized) and not outcome.dead:
            self.renewer.urge(account.id, generation=account.credential.generation)
        self.overseer.attempted(self, call, outcome)

    def _renewed(self, account: Account) -> None:
        self.pool.put(account, now=self.clock.now())
        self.admission.serve_line()

    def _failed(self, account_id: AccountId, permanent: bool, code: str) -> None:
        self.failed.append((account_id, permanent, code))
        self.pool.not_renewed(account_id)
        self.admission.serve_line()

    async def _renew(self) -> None:
        await self.renewer.run()
        self.overseer.accuse("E", f"the renewer of {self.pid} has ended by itself")

    async def _follow(self) -> None:
        """Take over what the store holds, at first and whenever it has changed."""
        while True:
            revision = self.world.vault.revision
            if revision != self._revision:
                try:
                    accounts = await self.store.accounts()
                except StateError:
                    await asyncio.sleep(0.5)
                    continue
                self._revision = revision
                self.pool.apply(accounts, now=self.clock.now())
                for account in accounts:
                    self.renewer.watch(account)
                self.admission.serve_line()
                self.ready = self.alive
            await asyncio.sleep(FOLLOW_S)
