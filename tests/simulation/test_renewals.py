"""Credentials of a simulated pool are renewed at their deadlines, or when a call needs one."""

from random import Random

import pytest

from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool
from app.simulation.plan import Accounts, Faults, Plan
from app.simulation.renewals import Renewals
from app.simulation.timeline import Timeline
from app.simulation.upstream import SimulatedUpstream
from tests.fakes.accounts import account


class World:
    """One account whose access tokens live for an hour."""

    def __init__(self, *, hours=10.0, life_minutes=60.0, **faults):
        faults = Faults(token_lifetime_minutes=life_minutes, **faults)
        plan = Plan(accounts=(Accounts(),), faults=faults)
        self.time = Timeline()
        self.changes = 0
        self.upstream = SimulatedUpstream(plan, rng=Random(1))
        self.pool = AccountPool(rng=Random(2), affinity=AffinityTable(entries_max=9, ttl_s=9.0))
        self.renewals = Renewals(
            time=self.time,
            pool=self.pool,
            upstream=self.upstream,
            faults=faults,
            rng=Random(3),
            changed=self.note,
        )
        self.renewals.ends_at = hours * 3_600.0
        self.account = self.upstream.admit(account(), (), at=0.0)
        self.pool.put(self.account, now=self.time.now)
        self.renewals.watch(self.account)
        self.answers = []

    def note(self):
        """Hear that credentials have changed."""
        self.changes += 1

    def demand(self, generation):
        """Ask for a newer credential than that."""
        self.renewals.demand(self.account.id, generation, self.answers.append)

    def play(self, until_s=None):
        """Let everything happen, up to a time if there is one."""
        while (until_s is None or self.time.at < until_s) and self.time.step():
            pass

    @property
    def kept(self):
        """What the upstream knows of the account."""
        return self.upstream.subscriptions[self.account.id]


def test_a_credential_is_renewed_before_it_ends():
    """Every hour a little early, for as long as the run lasts, and the pool has each new one."""
    world = World()
    world.play()
    assert 10 <= world.kept.exchanges <= 13
    assert world.pool.account("a").credential.generation == world.kept.generation
    assert world.changes == world.kept.exchanges


def test_who_needs_a_credential_waits_for_the_one_exchange():
    """However many ask; who asks afterwards has it at once."""
    world = World()
    for _ in range(5):
        world.demand(0)
    assert world.answers == []
    world.play(2.0)
    assert world.answers == [True] * 5
    assert world.kept.exchanges == 1
    world.demand(0)
    assert world.answers == [True] * 6
    assert world.kept.exchanges == 1


def test_a_renewal_that_fails_is_tried_again():
    """Who waits is told; the next try is soon, and spends nothing before it succeeds."""
    world = World(renewal_failure_share=1.0)
    world.demand(0)
    world.play(600.0)
    assert world.answers == [False]
    assert world.kept.exchanges == 0
    world.renewals._failure_share = 0.0
    world.play(1_800.0)
    assert world.kept.exchanges == 1


def test_a_lost_account_is_not_renewed_again():
    """Who asks is told at once."""
    world = World(revoked_share=1.0)
    world.demand(0)
    world.play()
    world.demand(0)
    assert world.answers == [False, False]
    assert world.kept.exchanges == 1


def test_after_the_end_nothing_is_renewed():
    """Or the run would never end; who asks is told so."""
    world = World(hours=0.0)
    world.play()
    world.demand(0)
    assert world.answers == [False]
    assert world.kept.exchanges == 0


def test_an_account_without_a_refresh_token_is_not_renewed():
    """There is nothing to exchange."""
    world = World(life_minutes=None)
    world.demand(0)
    world.play()
    assert world.answers == [False]
    assert world.kept.exchanges == 0
    assert world.renewals.newest(world.account) == world.account


@pytest.mark.parametrize(("step_s", "least"), [(3_600.0, 1), (-3_600.0, 0)])
def test_a_clock_that_is_set_moves_the_deadlines(step_s, least):
    """They are told in epoch seconds: forward they are over, back they are later."""
    world = World()
    world.play(0.0)
    world.time.set_clock(step_s)
    world.renewals.clock_was_set()
    world.play(2.0)
    assert world.kept.exchanges == least
    world.play()
    assert world.kept.exchanges >= 4


def test_an_account_that_is_away_is_renewed_all_the_same():
    """When it comes back it has its newest credential."""
    world = World()
    world.pool.apply([], now=world.time.now)
    world.demand(0)
    world.play(2.0)
    assert world.answers == [True]
    assert world.pool.account("a") is None
    assert world.renewals.newest(world.account).credential.generation == 1
