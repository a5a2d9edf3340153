"""The line for a busy pool: in order, woken by events, and honest about waiting in vain."""

import asyncio
from random import Random

import pytest

from app.domain.outcome import Abandoned, Broken, RateLimited, Succeeded
from app.errors import CapacityError
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool, Lease
from app.relay.admission import Admission
from tests.fakes.accounts import account, call
from tests.fakes.clock import settle as everyone_waits
from tests.fakes.virtual import LoopClock, virtual

DONE = Succeeded(0.1)


def admission_of(*accounts, queue_max: int = 100, queue_wait_s: float = 30.0) -> Admission:
    """Return an admission to a pool of these accounts, on the loop's own clock."""
    pool = AccountPool(rng=Random(1), affinity=AffinityTable(entries_max=9, ttl_s=1e6))
    clock = LoopClock()
    pool.apply(accounts, now=clock.now())
    return Admission(pool=pool, clock=clock, queue_max=queue_max, queue_wait_s=queue_wait_s)


def queue(admission: Admission, **arguments) -> asyncio.Task[Lease]:
    """Let a call stand in line in a task of its own."""
    model = arguments.pop("model", "m1")
    return asyncio.create_task(admission.lease(call(model=model), **arguments))


async def refused(admission: Admission, **changes) -> CapacityError:
    """Return how a call is refused."""
    with pytest.raises(CapacityError) as caught:
        await admission.lease(call(**changes))
    return caught.value


@virtual
async def test_a_free_account_is_leased_at_once():
    """Without a turn of the loop."""
    admission = admission_of(account())
    with pytest.raises(StopIteration) as done:
        admission.lease(call()).send(None)
    assert isinstance(done.value.value, Lease)


@virtual
async def test_places_are_handed_over_in_the_order_of_the_line():
    """By whoever settles; nobody polls."""
    admission = admission_of(account(concurrency_max=1))
    held = await admission.lease(call())
    waiting = [queue(admission) for _ in range(3)]
    await everyone_waits()
    assert admission.waiting == 3
    for number, task in enumerate(waiting):
        admission.settle(held, DONE)
        held = await task
        assert [other.done() for other in waiting] == [n <= number for n in range(3)]
    assert admission.waiting == 0
    assert asyncio.get_running_loop().time() == 1_000.0


@virtual
async def test_nobody_overtakes():
    """Who comes when a place has just become free stands behind those who wait for it."""
    admission = admission_of(account(concurrency_max=1))
    admission.settle(await admission.lease(call()), RateLimited(LoopClock().now() + 5.0))
    waiting = queue(admission)
    await everyone_waits()
    rest_ends = next(iter(admission._pool.states)).ready_at
    await asyncio.sleep(rest_ends - LoopClock().now() + 0.001)
    late = queue(admission)
    await everyone_waits()
    assert waiting.done()
    assert not late.done()
    admission.settle(waiting.result(), DONE)
    await late


@virtual
async def test_the_end_of_a_rest_serves_the_line_in_its_order():
    """Each waiter keeps its place, however often it has looked."""
    admission = admission_of(account("a", concurrency_max=1), account("b", concurrency_max=1))
    now = LoopClock().now()
    one, two = await admission.lease(call()), await admission.lease(call())
    admission.settle(one, RateLimited(now + 5.0))
    admission.settle(two, RateLimited(now + 20.0))
    served = []
    tasks = [queue(admission) for _ in range(2)]
    for number, task in enumerate(tasks):
        task.add_done_callback(lambda _, number=number: served.append(number))
    await asyncio.gather(*tasks)
    assert served == [0, 1]
    assert 20.0 <= LoopClock().monotonic() <= 25.1


@virtual
async def test_a_call_whose_model_rests_holds_up_nobody_else():
    """The place goes to the first who can use it."""
    admission = admission_of(account(concurrency_max=1))
    rest = RateLimited(LoopClock().now() + 20.0, model="resting")
    admission.settle(await admission.lease(call(model="resting")), rest)
    held = await admission.lease(call())
    stuck = [queue(admission, model="resting") for _ in range(2)]
    other = queue(admission)
    await everyone_waits()
    admission.settle(held, DONE)
    await everyone_waits()
    assert (other.done(), admission.waiting) == (True, 2)
    admission.settle(other.result(), DONE)
    admission.settle(await stuck[0], DONE)
    await stuck[1]


@virtual
async def test_a_call_that_has_tried_the_free_account_holds_up_nobody_else():
    """It waits for the others that it has not tried."""
    admission = admission_of(account("a", concurrency_max=1), account("b", concurrency_max=1))
    leases = {lease.account.id: lease for lease in [await admission.lease(call()) for _ in "ab"]}
    picky = queue(admission, excluding=frozenset({"a"}))
    plain = queue(admission)
    await everyone_waits()
    admission.settle(leases["a"], DONE)
    assert (await plain).account.id == "a"
    assert not picky.done()
    admission.settle(leases["b"], DONE)
    assert (await picky).account.id == "b"


@virtual
async def test_an_account_is_avoided_while_another_one_is_free():
    """And taken rather than waited for."""
    admission = admission_of(account("a"), account("b", concurrency_max=1))
    avoiding = frozenset({"a"})
    leases = [await admission.lease(call(), avoiding=avoiding) for _ in range(2)]
    assert [lease.account.id for lease in leases] == ["b", "a"]
    assert (await admission.lease(call(), preferring="b")).account.id == "a"


@virtual
async def test_a_waiter_that_leaves_loses_nothing_for_the_others():
    """Its place in line is gone, and nothing else."""
    admission = admission_of(account(concurrency_max=1))
    held = await admission.lease(call())
    leaving, staying = queue(admission), queue(admission)
    await everyone_waits()
    leaving.cancel()
    await everyone_waits()
    assert admission.waiting == 1
    admission.settle(held, DONE)
    admission.settle(await staying, DONE)
    assert admission._pool.leases == 0


@virtual
async def test_a_waiter_that_leaves_in_the_moment_of_its_turn_passes_it_on():
    """The lease that it had been given goes to the next."""
    admission = admission_of(account(concurrency_max=1))
    held = await admission.lease(call())
    leaving, staying = queue(admission), queue(admission)
    await everyone_waits()
    admission.settle(held, DONE)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    admission.settle(await staying, DONE)
    assert admission._pool.leases == 0


@virtual
async def test_an_empty_pool_is_told_apart():
    """Waiting would be in vain: no account serves the model."""
    error = await refused(admission_of())
    assert (error.status, error.code, error.retry_after_s) == (503, "pool_empty", None)
    error = await refused(admission_of(account(models=("m2",))))
    assert error.code == "pool_empty"
    assert LoopClock().monotonic() == 0.0


@virtual
async def test_a_limit_beyond_the_wait_is_told_apart():
    """At once, with the earliest reset of all accounts."""
    admission = admission_of(account("a"), account("b"))
    now = LoopClock().now()
    for reset in (now + 900.0, now + 500.0):
        admission.settle(await admission.lease(call()), RateLimited(reset))
    error = await refused(admission)
    assert (error.status, error.code, error.type) == (429, *["usage_limit_reached"] * 2)
    assert now + 500.0 <= error.resets_at <= now + 505.0
    assert error.retry_after_s == pytest.approx(error.resets_at - now)
    assert LoopClock().monotonic() == 0.0


@virtual
async def test_a_busy_pool_is_told_apart():
    """After the wait, and with a moment to come back."""
    admission = admission_of(account(concurrency_max=1), queue_wait_s=7.0)
    await admission.lease(call())
    error = await refused(admission)
    assert (error.status, error.code, error.retry_after_s) == (503, "pool_busy", 1.0)
    assert LoopClock().monotonic() == pytest.approx(7.0, abs=0.1)
    assert admission.waiting == 0


@virtual
async def test_a_full_line_takes_nobody():
    """A longer one would only time out."""
    admission = admission_of(account(concurrency_max=1), queue_max=2)
    held = await admission.lease(call())
    waiting = [queue(admission) for _ in range(2)]
    await everyone_waits()
    assert (await refused(admission)).code == "pool_busy"
    assert LoopClock().monotonic() == 0.0
    admission.settle(held, DONE)
    for task in waiting:
        admission.settle(await task, DONE)


@virtual
async def test_a_limit_that_is_met_while_others_wait_is_told_when_the_wait_is_over():
    """It is the truer word of the two."""
    admission = admission_of(account(concurrency_max=1))
    held = await admission.lease(call())
    waiting = queue(admission)
    await everyone_waits()
    admission.settle(held, RateLimited(LoopClock().now() + 900.0))
    with pytest.raises(CapacityError) as caught:
        await waiting
    assert caught.value.code == "usage_limit_reached"


@virtual
async def test_a_rest_that_ends_within_the_wait_is_waited_for():
    """A short burst limit costs the caller time and no error."""
    admission = admission_of(account())
    for _ in range(3):
        admission.settle(await admission.lease(call()), Broken("cut", sent=True))
    assert isinstance(await admission.lease(call()), Lease)
    assert 2.5 <= LoopClock().monotonic() <= 5.1


@virtual
async def test_a_caller_that_is_gone_before_it_waits_takes_nothing():
    """A lease that was never asked for is not out."""
    admission = admission_of(account(concurrency_max=1))
    held = await admission.lease(call())
    task = queue(admission)
    task.cancel()
    await everyone_waits()
    admission.settle(held, Abandoned())
    assert (admission.waiting, admission._pool.leases) == (0, 0)
