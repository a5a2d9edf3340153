"""The simulated admission serves the relay's own line at the relay's own moments."""

from random import Random

from app.domain.outcome import Abandoned, RateLimited
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool
from app.simulation.admission import Admission
from app.simulation.load import Wish
from app.simulation.plan import Gateway
from app.simulation.timeline import Timeline
from app.simulation.trip import Trip
from tests.fakes.accounts import account, call


class World:
    """A pool of accounts with one place each, and who was granted or refused what."""

    def __init__(self, *names, queue_max=1_000):
        self.time = Timeline()
        self.pool = AccountPool(rng=Random(1), affinity=AffinityTable(entries_max=9, ttl_s=9.0))
        accounts = [account(name, concurrency_max=1) for name in names]
        self.pool.apply(accounts, now=self.time.now)
        self.granted, self.refused = [], []
        self.leases = {}
        self.admission = Admission(
            time=self.time,
            pool=self.pool,
            gateway=Gateway(queue_max=queue_max, queue_wait_s=30.0),
            granted=self.grant,
            refused=lambda trip, error: self.refused.append((trip.number, error.code)),
        )
        self.number = 0

    def grant(self, trip, lease):
        """Take a lease for a call."""
        self.granted.append((trip.number, lease.account.id))
        self.leases[trip.number] = lease

    def ask(self, *, only=None, excluding=(), avoiding=(), waited_s=0.0, **fields):
        """Have a call ask for an account."""
        self.number += 1
        wanted = call(**fields)
        trip = Trip(Wish(0.0, wanted, 1, 1.0, 1.0, bound=False), self.number, wanted, only)
        trip.excluding, trip.avoiding = frozenset(excluding), frozenset(avoiding)
        trip.waited_s = waited_s
        self.admission.lease(trip)
        return trip

    def end(self, number, outcome=None):
        """End the call's attempt."""
        lease = self.leases.pop(number)
        self.pool.settle(lease, outcome or Abandoned(), now=self.time.now)
        self.admission.settled(lease.account.id)

    def play(self, seconds):
        """Let what is planned for the next seconds happen."""
        reached = []
        self.time.plan_in(seconds, reached.append)
        while not reached:
            self.time.step()


def test_who_finds_a_free_account_has_it_at_once():
    """One that should be avoided is taken where it is the only one."""
    world = World("a")
    world.ask(avoiding=["a"])
    assert world.granted == [(1, "a")]
    assert len(world.admission) == 0


def test_a_freed_place_goes_to_who_has_waited_longest():
    """And how long that was is known."""
    world = World("a")
    world.ask()
    second, third = world.ask(), world.ask()
    world.play(3.0)
    world.end(1)
    assert world.granted == [(1, "a"), (2, "a")]
    assert (second.waited_s, second.queued_at, third.queued_at) == (3.0, None, 0.0)
    assert len(world.admission) == 1
    assert list(world.admission.heads()) == [third]


def test_keys_take_turns():
    """Whoever has many calls waiting delays another key's first by one turn."""
    world = World("a")
    for key in ("k1", "k1", "k1", "k2"):
        world.ask(caller_id=key)
    world.end(1)
    world.end(2)
    assert [number for number, _ in world.granted] == [1, 2, 4]


def test_who_can_use_no_free_place_is_passed_over():
    """One that has failed there, or belongs elsewhere."""
    world = World("a", "b")
    world.ask()
    world.ask()
    taken = world.granted[0][1]
    other = "b" if taken == "a" else "a"
    world.ask(excluding=[taken])
    world.ask(only=other)
    world.ask()
    world.end(1)
    assert world.granted[2:] == [(5, taken)]
    assert len(world.admission) == 2


def test_a_wait_ends_at_its_deadline():
    """What was waited in line before counts."""
    world = World("a")
    world.ask()
    world.ask(waited_s=20.0)
    world.ask()
    world.play(10.1)
    assert world.refused == [(2, "pool_busy")]
    world.play(20.1)
    assert world.refused == [(2, "pool_busy"), (3, "pool_busy")]
    world.ask(waited_s=30.0)
    assert world.refused[2:] == [(4, "pool_busy")]


def test_waiting_in_vain_is_refused_at_once():
    """Nobody serves the model, or the reset is further away than the wait is long."""
    world = World()
    world.ask()
    assert world.refused == [(1, "pool_empty")]
    world = World("a")
    world.ask()
    world.end(1, RateLimited(world.time.now + 60.0))
    world.ask()
    assert world.refused == [(2, "usage_limit_reached")]


def test_who_waits_is_told_when_it_has_become_vain():
    """The account it waited for is at its limit now."""
    world = World("a")
    world.ask()
    world.ask()
    world.ask(excluding=["b"])
    world.end(1, RateLimited(world.time.now + 60.0))
    world.play(0.2)
    assert world.refused == [(2, "usage_limit_reached"), (3, "usage_limit_reached")]


def test_an_account_that_comes_back_serves_who_waits_for_it():
    """Within moments of the end of its rest, without any other event."""
    world = World("a")
    world.ask()
    world.ask()
    world.end(1, RateLimited(world.time.now + 10.0))
    world.play(9.9)
    assert len(world.granted) == 1
    world.play(2.2)
    assert world.granted == [(1, "a"), (2, "a")]
    assert world.refused == []


def test_a_model_that_rests_keeps_nobody_else_waiting():
    """Its own callers are served when it is back."""
    world = World("a")
    world.ask(model="m2")
    world.end(1, RateLimited(world.time.now + 10.0, model="m2"))
    world.ask(model="m2")
    world.ask(model="m1")
    world.end(3)
    assert [number for number, _ in world.granted] == [1, 3]
    world.play(12.5)
    assert [number for number, _ in world.granted] == [1, 3, 2]


def test_new_accounts_serve_the_line():
    """As soon as somebody says that they came."""
    world = World("a")
    world.ask()
    world.ask()
    world.pool.apply([account("a", concurrency_max=1), account("b")], now=world.time.now)
    world.admission.serve_line()
    assert world.granted == [(1, "a"), (2, "b")]
    world.admission.serve_line()


def test_a_reply_that_has_begun_lets_more_calls_in():
    """An account on trial may be given another call then."""
    world = World("a")
    world.pool.apply([account("a", concurrency_max=4)], now=world.time.now)
    world.ask()
    world.end(1, RateLimited(world.time.now + 1.0))
    world.play(5.0)
    world.ask()
    world.ask()
    assert [number for number, _ in world.granted] == [1, 2]
    world.pool.began(world.leases[2], first_event_s=1.0, now=world.time.now)
    world.admission.began("a")
    assert [number for number, _ in world.granted] == [1, 2, 3]
    world.admission.began("a")


def test_a_line_that_is_full_takes_nobody():
    """There is no place left."""
    world = World("a", queue_max=1)
    world.ask()
    world.ask()
    world.ask()
    assert world.refused == [(3, "pool_busy")]
    assert world.admission.queued == 1
