"""A process dies after every single step of a renewal, and what the next one makes of it.

The first run, in which nobody dies, counts the steps; then the process is killed after the first,
the second and so on, once for each thing that may become of the exchange. Between two steps lies
every await of the production code, and of the store's and the server's answers. A step is never
left out: the renewal is killed before its intent, between the intent and the exchange, while the
server works, between its answer and the store, and after that.

The oracle is the server: an account may only be lost where the server has spent its refresh token
and what that bought is stored nowhere.
"""

import asyncio
from collections import Counter

import pytest

from app.accounts.deadlines import RenewalPolicy
from app.store.credentials import INTENT_LIFE_S
from tests.simulation.authority import Fate
from tests.simulation.overseer import TOLD_MAX
from tests.simulation.relay_days import unwell_in
from tests.simulation.vault import VaultFaults
from tests.simulation.world import World

LIFETIME_S = 3_600.0
LEFT_S = 200.0
"""Of the access token: less than the lead, so that it is renewed at once."""
ALONE_S = 4 * INTENT_LIFE_S + LEFT_S + 2 * RenewalPolicy().unknown_first_s
"""What the next process may take to find out: others' intents and the last chance included."""


class Refresh:
    """One account whose credential falls due, and the processes that may renew it."""

    def __init__(self, *fates, seed=0, processes=1, store=None):
        self.world = World(f"crash {seed}", lifetime_s=LIFETIME_S, store=store)
        self.world.authority.fates = list(fates)
        self.account_id = self.world.enrol("a", left_s=LEFT_S)
        self.token = self.world.authority.current[self.account_id]
        self.processes = processes
        self.unreliable = store is not None
        self.spent = []
        """Which process presented the first token when it was spent already."""
        began = self.world.overseer.exchange_began

        def note(process, token, **known):
            if token in self.world.overseer.spendings:
                self.spent.append(process.pid)
            began(process, token, **known)

        self.world.overseer.exchange_began = note

    def run(self, kill_after=None):
        """Play it; return how many steps the first renewal took, whatever its result."""
        return self.world.loop.play(self._live(kill_after))

    async def _live(self, kill_after):
        world = self.world
        for _ in range(self.processes):
            world.launch()
        began = world.loop.steps
        if kill_after is not None:
            world.loop.after_steps(kill_after, self._crash)
        while not self._has_ended():  # noqa: ASYNC110 - in virtual time it costs nothing to look
            await asyncio.sleep(0.5)
        steps = world.loop.steps - began
        await asyncio.sleep(ALONE_S)
        world.vault.faults = VaultFaults()
        await self._found_out()
        return steps

    def _crash(self):
        """Kill the process that renews, or is the first that may."""
        world = self.world
        intent = world.vault.rows[self.account_id].intent
        victims = [each for each in world.processes if intent and each.pid == intent.by]
        (victims or world.processes)[0].kill()
        world.loop.call_later(1.0, world.launch)

    def _has_ended(self):
        """Tell whether the first renewal has come to some end."""
        row = self.world.vault.rows[self.account_id]
        failed = any(process.failed or not process.alive for process in self.world.processes)
        return failed or row.dead or row.generation > 1

    async def _found_out(self):
        """Wait until the account is well or flagged, as long as its owner would."""
        for _ in range(100):
            if unwell_in(self.world, self.account_id) is None:
                return
            await asyncio.sleep(30.0)

    def check(self):
        """Nothing is lost that could be kept, what is lost is flagged, nothing goes in circles."""
        world, row = self.world, self.world.vault.rows[self.account_id]
        assert unwell_in(world, self.account_id) is None
        spending = world.overseer.spendings.get(self.token)
        lost = row.refresh_token != world.authority.current[self.account_id]
        assert row.dead == lost
        if lost:
            assert spending is not None
            assert not spending.stored
            assert not spending.delivered or not spending.process.alive
            # The row says why, with the flag; its event may get lost with the store.
            assert row.refused_code == "refresh_token_reused"
        # A process that was told may forget it again only where the store does not take it down.
        most = TOLD_MAX if self.unreliable else 1
        assert all(times <= most for times in Counter(self.spent).values())


FATES = [*Fate]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("fate", FATES)
def test_a_crash_at_any_step_loses_nothing_that_could_be_kept(fate, processes):
    """Whatever becomes of the exchange, and whether or not another process waits for its turn."""
    whole = Refresh(fate, processes=processes)
    steps = whole.run()
    whole.check()
    assert steps > 10
    ends = set()
    for kill_after in range(steps + 1):
        refresh = Refresh(fate, processes=processes)
        refresh.run(kill_after)
        refresh.check()
        ends.add(refresh.world.vault.rows[refresh.account_id].dead)
    if fate in (Fate.ANSWERED, Fate.REPLY_LOST, Fate.REQUEST_LATE):
        assert True in ends
    elif processes == 1:
        assert ends == {False}


@pytest.mark.parametrize("seed", range(4))
def test_a_crash_while_the_store_is_unreliable_loses_no_more(seed):
    """It refuses, it loses acknowledgements, and a process dies meanwhile."""
    store = VaultFaults(refused=0.2, unacknowledged=0.2, slow=0.2)
    steps = Refresh(seed=seed, store=store).run()
    for kill_after in range(0, steps + 1, 2):
        refresh = Refresh(seed=seed, store=store, processes=1 + seed % 2)
        refresh.run(kill_after)
        refresh.check()
