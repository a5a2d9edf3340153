"""Some minutes of a small pool, drawn from a seed, in which a great deal goes wrong at once.

Where `days.py` plays hours of decisions, this plays the tasks that carry them out: who waits for
what when a caller leaves, a process dies, the store goes away, or a clock is set.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final

from msgspec import Struct

from app.accounts.deadlines import RenewalPolicy
from app.domain.account import AccountId
from app.domain.call import Call, Dialect
from app.domain.caller import KeyId
from app.pool.state import Health
from tests.simulation.authority import AuthFaults, Fate
from tests.simulation.backend import BackendFaults, Quota, Turn
from tests.simulation.caller import Manner, ask
from tests.simulation.process import Process
from tests.simulation.vault import VaultFaults
from tests.simulation.world import World

DAY_S: Final = 150.0
CALLS: Final = 40
CALLS_END_S: Final = 300.0
"""How long the slowest call may take: its waits, and all of its attempts."""
HEALING_MAX_S: Final = 900.0
"""An exchange without an answer is waited out for one minute, then for two, then for four."""
CLOCK_HEALING_MAX_S: Final = 12_000.0
"""Where a clock was set back, what was planned before comes that much later."""
LIFETIMES_S: Final = (40.0, 90.0, 200.0, 400.0, 900.0, 3_600.0)
HEALING_LOOK_S: Final = 30.0
BACK_MAX_S: Final = 5.0
"""Until a process that was killed is replaced."""
KEYS: Final = ("k1", "k2", "k3")
MODELS: Final = ("m1", "m1", "m1", "m2")


class Tally(Struct):
    """What a day came to."""

    ends: dict[str, int]
    turns: dict[str, int]
    exchanges: int
    lost: int
    """Accounts whose refresh token nobody has any more."""
    waited: int
    """Calls that stood in line."""
    steps: int
    digest: str


class Day:
    """A drawn day; `play` it once."""

    def __init__(self, seed: int) -> None:
        self._rng = rng = Random(f"relay day {seed}")
        self._calls = 0
        lifetime_s = rng.choice(LIFETIMES_S)
        self._world = World(
            seed,
            lifetime_s=lifetime_s,
            auth=_auth_faults(rng),
            store=_store_faults(rng),
            upstream=_upstream_faults(rng),
        )
        self._accounts = [
            self._world.enrol(
                f"a{n}",
                concurrency_max=rng.choice((1, 2, 4)),
                left_s=rng.random() * rng.choice((60.0, lifetime_s)),
            )
            for n in range(rng.randint(1, 4))
        ]
        for account_id in self._accounts:
            if rng.random() < 0.4:
                quota = Quota(rng.randint(2, 10), rng.choice((5.0, 20.0, 60.0)))
                self._world.backend.quotas[account_id] = quota
        self._plan: list[tuple[float, Callable[[], None]]] = []
        self._is_over = False
        """Nobody is killed any more."""
        self._stopping: list[asyncio.Task[None]] = []
        self._waited = 0

    def play(self) -> Tally:
        """Play it all; raises `Violation` if something happened that must not."""
        world = self._world
        world.loop.play(self._live())
        overseer = world.overseer
        records = overseer.records.values()
        return Tally(
            ends=dict(overseer.ends),
            turns={str(turn): count for turn, count in world.backend.turns.items()},
            exchanges=world.authority.exchanges,
            lost=sum(row.dead for row in world.vault.rows.values()),
            waited=sum(record.waited for record in records),
            steps=world.loop.steps,
            digest=",".join(f"{each.call.id}:{each.end}:{each.ended_at:.6f}" for each in records),
        )

    async def _live(self) -> None:
        world, rng = self._world, self._rng
        for _ in range(rng.choice((1, 1, 2, 3))):
            world.launch()
        self._draw()
        began = world.loop.time()
        for at, act in sorted(self._plan, key=lambda each: each[0]):
            await asyncio.sleep(max(0.0, began + at - world.loop.time()))
            act()
        world.heal()
        await self._calls_end()
        await self._heals()
        await self._stops()

    def _draw(self) -> None:
        """Draw who calls when, and what goes wrong."""
        rng = self._rng
        rushes = [rng.random() * DAY_S for _ in range(2)]
        for _ in range(CALLS):
            at = rng.random() * DAY_S
            if rng.random() < 0.6:
                at = rng.choice(rushes) + rng.random() * 2.0
            self._at(at, self._call)
        if rng.random() < 0.5:
            self._often(2, lambda: self._kill(rng.randrange(60)))
        if rng.random() < 0.3:
            self._often(1, self._restart)
        if rng.random() < 0.3:
            self._often(2, lambda: self._world.set_clocks(rng.choice((-3_600.0, 0.0, 3_600.0))))
        if rng.random() < 0.4:
            self._often(2, lambda: self._store_leaves(rng.random() * 20.0))
        if rng.random() < 0.3:
            self._often(1, lambda: self._overload(rng.random() * 20.0))
        if rng.random() < 0.4:
            self._often(5, lambda: self._world.authority.revoke(rng.choice(self._accounts)))
        if rng.random() < 0.4:
            self._often(3, lambda: self._log_in(rng.choice(self._accounts)))

    def _at(self, at: float, act: Callable[[], None]) -> None:
        self._plan.append((at, act))

    def _often(self, most: int, act: Callable[[], None]) -> None:
        for _ in range(self._rng.randint(1, most)):
            self._at(self._rng.random() * DAY_S, act)

    def _call(self) -> None:
        """Let somebody call a process."""
        rng = self._rng
        processes = [process for process in self._world.processes if process.ready]
        if not processes:
            return
        key = rng.choice(KEYS)
        session = f"{key}:{rng.randrange(3)}" if rng.random() < 0.5 else None
        leaves = rng.random() < 0.25
        manner = Manner(
            stream=rng.random() < 0.7,
            leaves_after_s=rng.choice((0.0, rng.random(), 5.0 * rng.random())) if leaves else None,
            leaves_after_steps=rng.randrange(30),
            batches_max=2 if rng.random() < 0.05 else None,
            pause_s=rng.choice((0.0, 0.0, 0.3)),
        )
        call = self._new_call(caller_id=KeyId(key), model=rng.choice(MODELS), session_key=session)
        ask(rng.choice(processes), call, manner)

    def _new_call(self, **fields: Any) -> Call:
        self._calls += 1
        return Call(
            id=f"c{self._calls}",
            dialect=Dialect.RESPONSES,
            body=b"{}",
            **fields,
        )

    def _kill(self, steps: int) -> None:
        """Kill a process in the middle of whatever it does then, and start another one."""
        world, rng = self._world, self._rng
        victims = [process for process in world.alive() if process.ready]
        if not victims:
            return
        victim = rng.choice(victims)

        def die() -> None:
            if victim.alive and not self._is_over:
                victim.kill()
                world.loop.call_later(rng.random() * BACK_MAX_S, world.launch)

        world.loop.after_steps(steps, die)

    def _restart(self) -> None:
        """Replace a process as a deployment does."""
        ready = [process for process in self._world.alive() if process.ready]
        if ready:
            self._world.launch()
            stopping = self._world.loop.create_task_of(None, ready[0].stop(), name="stop")
            self._stopping.append(stopping)

    def _store_leaves(self, seconds: float) -> None:
        self._world.vault.away_until = self._world.loop.time() + seconds

    def _overload(self, seconds: float) -> None:
        self._world.backend.overloaded_until = self._world.loop.time() + seconds

    def _log_in(self, account_id: AccountId) -> None:
        self._world.vault.log_in(account_id, self._world.authority.login(account_id))

    async def _calls_end(self) -> None:
        """Wait for the last call, and for who stops."""
        loop = self._world.loop
        end = loop.time() + CALLS_END_S
        # In virtual time it costs nothing to look.
        while (  # noqa: ASYNC110
            any(process.calls for process in self._world.processes) and loop.time() < end
        ):
            await asyncio.sleep(5.0)
        for process in self._world.processes:
            for record in process.calls.values():
                self._world.overseer.accuse("E", f"{record.call.id} never ends")
        self._is_over = True
        await asyncio.sleep(BACK_MAX_S)
        if self._stopping:
            await asyncio.wait(self._stopping)
        for process in self._world.alive():
            self._world.overseer.finish(process)

    async def _heals(self) -> None:
        """Wait until every account is well, or flagged."""
        world = self._world
        began = world.loop.time()
        while unwell := {each: words for each in self._accounts if (words := self._unwell(each))}:
            for account_id, words in unwell.items():
                if world.loop.time() - began > self._patience_s(account_id):
                    world.overseer.accuse("L", f"{account_id}: {words}")
            self._try(list(unwell))
            await asyncio.sleep(HEALING_LOOK_S)

    def _patience_s(self, account_id: AccountId) -> float:
        """Return how long it may take until an account is well."""
        if self._world.overseer.clock_set_at > 0:
            return CLOCK_HEALING_MAX_S
        row = self._world.vault.rows[account_id]
        if row.refresh_token == self._world.authority.current[account_id]:
            return HEALING_MAX_S
        # That it is lost is found out when there is nothing to lose any more, and written down at
        # the next sweep where the store was away.
        return HEALING_MAX_S + self._world.authority.lifetime_s + RenewalPolicy().sweep_s

    async def _stops(self) -> None:
        """Stop everybody; that loses nothing and leaves nothing behind."""
        world = self._world
        for process in world.alive():
            await process.stop()
        for process in world.processes:
            if not process.alive and world.loop.tasks(process):
                world.overseer.accuse("E", f"{process.pid} has ended, and goes on")
        for account_id in self._accounts:
            row = world.vault.rows[account_id]
            spending = world.overseer.spendings.get(row.refresh_token or "")
            if spending is not None and spending.delivered and not row.dead:
                world.overseer.accuse("L", f"what {account_id} got was lost when a process stopped")
        await asyncio.sleep(0)

    def _try(self, account_ids: list[AccountId]) -> None:
        """Let calls show each process which access tokens open nothing any more."""
        for process in self._world.alive():
            for account_id in account_ids if process.ready else ():
                fields = {"caller_id": KeyId("k1"), "model": "m1", "groups": (account_id,)}
                ask(process, self._new_call(**fields), Manner())

    def _unwell(self, account_id: AccountId) -> str | None:
        return unwell_in(self._world, account_id)


def unwell_in(world: World, account_id: AccountId) -> str | None:
    """Say what is wrong with an account in the store or in a process; None if it is well.

    One that can't be renewed any more and is flagged is as well as it can be.
    """
    unwell = world.unwell(account_id)
    row = world.vault.rows[account_id]
    if unwell is not None or row.dead:
        return unwell
    for process in world.alive():
        unwell = _unserved(process, account_id, row.generation)
        if unwell:
            return unwell
    return None


def _unserved(process: Process, account_id: AccountId, generation: int) -> str | None:
    """Say why a process does not serve with an account that is well."""
    state = next((each for each in process.pool.states if each.account.id == account_id), None)
    if state is None or state.account.credential.generation != generation:
        return f"{process.pid} does not know its credential"
    if state.health in (Health.EXPIRED, Health.BANNED):
        return f"{process.pid} keeps it out: {state.health}"
    return None


def _auth_faults(rng: Random) -> AuthFaults:
    chosen = rng.sample([fate for fate in Fate if fate is not Fate.ANSWERED], k=rng.randint(0, 3))
    shares: dict[Fate, float] = {fate: 0.25 * rng.random() for fate in chosen}
    return AuthFaults(shares, slow=rng.choice((0.0, 0.3)))


def _store_faults(rng: Random) -> VaultFaults:
    def share() -> float:
        return rng.random() * 0.15 if rng.random() < 0.4 else 0.0

    return VaultFaults(refused=share(), unacknowledged=share(), slow=share())


def _upstream_faults(rng: Random) -> BackendFaults:
    chosen = rng.sample([turn for turn in Turn if turn is not Turn.GOOD], k=rng.randint(1, 8))
    shares: dict[Turn, float] = {turn: 0.15 * rng.random() for turn in chosen}
    return BackendFaults(
        shares, first_event_s=rng.choice((0.1, 1.0)), pause_s=rng.choice((0.05, 0.5))
    )
