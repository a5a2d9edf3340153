"""The line for a busy pool: in order, woken by events, and honest about waiting in vain."""

import asyncio
from random import Random
from typing import Any
from unittest.mock import Mock

import pytest

from app.domain.outcome import Abandoned, Broken, Outcome, RateLimited, Succeeded, Unauthorized
from app.errors import CapacityError
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool, Lease
from app.pool.shelves import Wanted
from app.relay.admission import Admission
from tests.fakes.accounts import account, call
from tests.fakes.clock import settle as everyone_waits
from tests.fakes.virtual import LoopClock, virtual

DONE = Succeeded(0.1)


def admission_of(
    *accounts, queue_max: int = 100, queue_wait_s: float = 30.0, explanations=None
) -> Admission:
    """Return an admission to a pool of these accounts, on the loop's own clock."""
    pool = AccountPool(rng=Random(1), affinity=AffinityTable(entries_max=9, ttl_s=1e6))
    clock = LoopClock()
    pool.apply(accounts, now=clock.now())
    return Admission(
        pool=pool,
        clock=clock,
        queue_max=queue_max,
        queue_wait_s=queue_wait_s,
        explanations=explanations,
    )


def queue(
    admission: Admission, *, model: str = "m1", key: str = "key-1", **arguments
) -> asyncio.Task[Lease]:
    """Let a call stand in line in a task of its own."""
    return asyncio.create_task(admission.lease(call(model=model, caller_id=key), **arguments))


def now() -> float:
    """Return the loop's time as epoch seconds."""
    return LoopClock().now()


async def told(task: asyncio.Task[Lease]) -> CapacityError:
    """Return how a call that stands in line is refused."""
    with pytest.raises(CapacityError) as caught:
        await task
    return caught.value


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
    one, two = await admission.lease(call()), await admission.lease(call())
    admission.settle(one, RateLimited(now() + 5.0))
    admission.settle(two, RateLimited(now() + 20.0))
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
    for reset in (now() + 900.0, now() + 500.0):
        admission.settle(await admission.lease(call()), RateLimited(reset))
    error = await refused(admission)
    assert (error.status, error.code, error.type) == (429, *["usage_limit_reached"] * 2)
    assert now() + 500.0 <= error.resets_at <= now() + 505.0
    assert error.retry_after_s == pytest.approx(error.resets_at - now())
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
async def test_who_waits_is_told_as_soon_as_it_is_in_vain():
    """The last account has met its limit; nobody waits for the end of the wait."""
    admission = admission_of(account(concurrency_max=1))
    held = await admission.lease(call())
    waiting = [queue(admission), queue(admission, excluding=frozenset("b"))]
    await everyone_waits()
    admission.settle(held, RateLimited(now() + 900.0))
    for task in waiting:
        error = await told(task)
        assert error.code == "usage_limit_reached"
        assert 899.0 <= error.retry_after_s <= 903.0
    assert LoopClock().monotonic() < 0.2


@virtual
async def test_who_could_not_wait_for_the_reset_is_told_and_the_others_wait_on():
    """Those who came later have more time left."""
    admission = admission_of(account(concurrency_max=1), queue_wait_s=30.0)
    held = await admission.lease(call())
    early = queue(admission)
    await asyncio.sleep(20.0)
    late = queue(admission)
    await everyone_waits()
    admission.settle(held, RateLimited(now() + 15.0))
    assert (await told(early)).code == "usage_limit_reached"
    assert LoopClock().monotonic() < 20.2
    admission.settle(await late, DONE)
    assert 35.0 <= LoopClock().monotonic() <= 38.0


@pytest.mark.parametrize(
    "outcome", [Unauthorized(dead=True, reason="gone"), DONE], ids=["dead", "dismissed"]
)
@virtual
async def test_who_waits_for_an_account_that_goes_is_told(outcome):
    """By whatever end it goes."""
    admission = admission_of(account(concurrency_max=1))
    held = await admission.lease(call())
    waiting = queue(admission)
    await everyone_waits()
    if outcome is DONE:
        admission._pool.apply([], now=now())
        admission.serve_line()
        admission.serve_line()
    admission.settle(held, outcome)
    assert (await told(waiting)).code == "pool_empty"
    assert LoopClock().monotonic() < 0.2
    admission.serve_line()


@virtual
async def test_a_reload_serves_the_line():
    """New accounts take as many as they can."""
    admission = admission_of(account(concurrency_max=1))
    held = await admission.lease(call())
    waiting = [queue(admission) for _ in range(5)]
    await everyone_waits()
    more = [account("a", concurrency_max=1), account("b"), account("c", concurrency_max=1)]
    admission._pool.apply(more, now=now())
    admission.serve_line()
    leases = [await task for task in waiting]
    assert {lease.account.id for lease in leases} == {"b", "c"}
    for lease in [held, *leases]:
        admission.settle(lease, DONE)


@virtual
async def test_a_call_that_has_begun_lets_the_next_one_in():
    """An account on trial takes one call, until the upstream has taken that one."""
    admission = admission_of(account())
    admission.settle(await admission.lease(call()), RateLimited(now() + 5.0))
    waiting = [queue(admission) for _ in range(3)]
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(3.0)
    assert (len(done), len(pending)) == (1, 2)
    [first] = done
    admission.began(first.result(), first_event_s=3.0)
    await everyone_waits()
    assert sum(task.done() for task in waiting) >= 2
    for task in waiting:
        admission.settle(await task, DONE)


@virtual
async def test_keys_take_turns():
    """A key with many calls delays another one's first call by one turn."""
    admission = admission_of(account(concurrency_max=1), queue_max=1_000)
    held = await admission.lease(call())
    many = [queue(admission, key="many") for _ in range(300)]
    await everyone_waits()
    one = queue(admission, key="one")
    await everyone_waits()
    for task in (many[0], one, many[1], many[2]):
        admission.settle(held, DONE)
        held = await task
    for task in (one, *many):
        task.cancel()
    admission.settle(held, DONE)
    await asyncio.gather(*many, return_exceptions=True)
    assert (admission.waiting, admission._pool.leases) == (0, 0)


@virtual
async def test_one_key_does_not_fill_the_line():
    """Another one gets in when the first is turned away."""
    admission = admission_of(account(concurrency_max=1), queue_max=40)
    held = await admission.lease(call())
    many = [queue(admission, key="many") for _ in range(30)]
    await everyone_waits()
    assert admission.waiting == 20
    assert {(await told(task)).code for task in many[20:]} == {"pool_busy"}
    one = queue(admission, key="one")
    await everyone_waits()
    assert not one.done()
    for task in [*many[:20], one]:
        task.cancel()
    await asyncio.gather(one, *many, return_exceptions=True)
    admission.settle(held, DONE)


@virtual
async def test_a_long_line_has_one_timer_and_a_settled_lease_asks_once():
    """However many calls wait for a model that rests."""
    admission = admission_of(account(), queue_max=2_000)
    rest = RateLimited(now() + 20.0, model="resting")
    admission.settle(await admission.lease(call(model="resting")), rest)
    held = await admission.lease(call())
    loop = asyncio.get_running_loop()
    timers = Mock(wraps=loop.call_later)
    loop.call_later = timers
    waiting = [queue(admission, model="resting") for _ in range(500)]
    await everyone_waits()
    pool = admission._pool
    pool.lease = leases = Mock(wraps=pool.lease)
    pool.not_before = prospects = Mock(wraps=pool.not_before)
    admission.settle(held, DONE)
    assert timers.call_count <= 3
    assert leases.call_count <= 1
    assert prospects.call_count <= 1
    for task in waiting:
        admission.settle(await task, DONE)


@virtual
async def test_a_call_that_is_bound_waits_for_its_account():
    """A free one is not for it, and its account's place is not for others before it."""
    admission = admission_of(account("a", concurrency_max=1), account("b", concurrency_max=1))
    held = await admission.lease(call(), only="a")
    assert (held.account.id, held.reason) == ("a", "only")
    other = await admission.lease(call(), excluding=frozenset("a"))
    bound = queue(admission, only="a")
    free = queue(admission, key="other")
    await everyone_waits()
    admission.settle(other, DONE)
    assert (await free).account.id == "b"
    assert not bound.done()
    admission.settle(held, DONE)
    assert (await bound).account.id == "a"


@virtual
async def test_a_bound_call_is_told_what_its_account_alone_can_do():
    """The others don't count."""
    admission = admission_of(account("a"), account("b"))
    assert (await told(queue(admission, only="gone"))).code == "pool_empty"
    limit = RateLimited(now() + 900.0)
    admission.settle(await admission.lease(call(), only="a"), limit)
    assert (await told(queue(admission, only="a"))).code == "usage_limit_reached"
    admission.settle(await admission.lease(call()), DONE)


@virtual
async def test_who_has_waited_before_waits_for_the_rest_only():
    """The wait of a call is bounded, not that of an attempt."""
    admission = admission_of(account(concurrency_max=1))
    await admission.lease(call())
    first = queue(admission)
    again = queue(admission, waited_s=25.0)
    assert (await told(again)).code == "pool_busy"
    assert LoopClock().monotonic() == pytest.approx(5.0, abs=0.1)
    assert (await told(queue(admission, waited_s=31.0))).code == "pool_busy"
    assert LoopClock().monotonic() == pytest.approx(5.0, abs=0.1)
    assert (await told(first)).code == "pool_busy"
    assert LoopClock().monotonic() == pytest.approx(30.0, abs=0.1)


@virtual
async def test_a_busy_pool_says_when_a_place_may_be_free():
    """By the pace at which places are handed out, or by the end of a rest if that is sooner."""
    admission = admission_of(account("a", concurrency_max=1), queue_max=30)
    held = await admission.lease(call())
    waiting = [queue(admission, key=str(n)) for n in range(30)]
    for task in waiting[:10]:
        await asyncio.sleep(2.0)
        admission.settle(held, DONE)
        held = await task
    late = [queue(admission, key="late") for _ in range(11)]
    await everyone_waits()
    slow = await told(late[-1])
    assert slow.code == "pool_busy"
    assert 20.0 <= slow.retry_after_s <= 60.0
    pool = admission._pool
    pool.put(account("b"), now=now())
    other = pool.lease(call(), excluding=frozenset(), only="b", now=now())
    pool.settle(other, RateLimited(now() + 4.0), now=now())
    soon = await told(queue(admission, key="late"))
    assert 1.0 <= soon.retry_after_s <= 6.0
    for task in [*waiting, *late]:
        task.cancel()
    await asyncio.gather(*waiting, *late, return_exceptions=True)


@virtual
async def test_selections_and_refusals_are_explained():
    """To whoever keeps explanations; a refusal also if it comes after a wait."""
    kept = Mock()
    admission = admission_of(account(concurrency_max=1), queue_wait_s=5.0, explanations=kept)
    held = await admission.lease(call(), excluding=frozenset("b"))
    assert kept.selected.call_args.args[2] is held
    assert kept.selected.call_args.kwargs == {"now": now(), "excluding": frozenset("b")}
    await told(queue(admission))
    assert kept.refused.call_args.kwargs == {
        "now": now(), "excluding": frozenset(), "only": None, "code": "pool_busy",
    }  # fmt: skip
    await told(queue(admission, only="b"))
    assert kept.refused.call_args.kwargs["only"] == "b"
    assert (kept.selected.call_count, kept.refused.call_count) == (1, 2)


@virtual
async def test_a_rest_that_was_made_longer_meanwhile_is_waited_for_again():
    """The timer rings in vain, and is set again."""
    admission = admission_of(account(concurrency_max=2))
    one, two = await admission.lease(call()), await admission.lease(call())
    admission.settle(one, RateLimited(now() + 3.0))
    waiting = queue(admission)
    await everyone_waits()
    admission.settle(two, RateLimited(now() + 9.0))
    admission.settle(await waiting, DONE)
    assert 9.0 <= LoopClock().monotonic() <= 12.0


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


@virtual
async def test_a_bound_call_is_tried_and_passed_over_while_its_account_is_full():
    """The others of the line are served."""
    admission = admission_of(account("a", concurrency_max=1))
    held = await admission.lease(call())
    admission.began(held, first_event_s=0.1)
    bound, free = queue(admission, only="a"), queue(admission)
    await everyone_waits()
    admission._pool.put(account("b"), now=now())
    admission.serve_line()
    await everyone_waits()
    assert (free.done(), bound.done()) == (True, False)
    admission.settle(held, DONE)
    for task in (bound, free):
        admission.settle(await task, DONE)


@virtual
async def test_a_caller_that_leaves_in_the_moment_its_wait_ends_has_left():
    """Nobody is there to be told."""
    admission = admission_of(account(concurrency_max=1), queue_wait_s=5.0)
    held = await admission.lease(call())
    leaving = queue(admission)
    await everyone_waits()
    rings_at = admission._timer.when()

    def leave_and_ring() -> None:
        leaving.cancel()
        admission._ring()

    asyncio.get_running_loop().call_at(rings_at, leave_and_ring)
    admission._timer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert admission.waiting == 0
    admission.settle(held, DONE)


class Crowd:
    """Callers that come, wait, leave and finish by chance, and what must hold all the while."""

    def __init__(self) -> None:
        self.admission = admission_of(*ACCOUNTS, queue_max=40, queue_wait_s=10.0)
        self.pool = self.admission._pool
        self.held: list[Lease] = []
        self.waiting: list[asyncio.Task[Lease]] = []
        self.ended = 0
        self.served: dict[str, list[int]] = {}
        """Number of each fresh call that was served, by key and model, in the order of serving."""
        self.passed: dict[asyncio.Task[Lease], dict[str, int]] = {}
        """For each key's first call in line: how many calls of each other key went before it."""

    async def play(self, name: str, *values: Any) -> None:
        """Do one step, as far as there is somebody to do it with."""
        needs = {"settle": self.held, "begin": self.held, "cancel": self.waiting}
        if needs.get(name, True):
            await getattr(self, name)(*values)
        await self.check()

    async def settle(self, at: int, outcome: Outcome) -> None:
        """A call ends; a limit's reset is told as seconds from now."""
        if isinstance(outcome, RateLimited):
            outcome = RateLimited(now() + outcome.reset_at, model=outcome.model)
        self.admission.settle(self.held.pop(at % len(self.held)), outcome)

    async def begin(self, at: int) -> None:
        """A call's reply begins."""
        self.admission.began(self.held[at % len(self.held)], first_event_s=0.5)

    async def cancel(self, at: int) -> None:
        """A caller leaves the line; it may just have been served."""
        if self.held and at % 2:
            self.admission.settle(self.held.pop(), DONE)
        self.waiting[at % len(self.waiting)].cancel()

    async def elapse(self, seconds: float) -> None:
        """Time passes."""
        await asyncio.sleep(seconds)

    async def reload(self, count: int) -> None:
        """The operator has so many accounts from now on."""
        self.pool.apply(ACCOUNTS[:count], now=now())
        self.admission.serve_line()

    async def go_home(self) -> None:
        """Everybody finishes."""
        await self.reload(len(ACCOUNTS))
        while self.held or self.waiting:
            for lease in list(self.held):
                self.held.remove(lease)
                self.admission.settle(lease, DONE)
            await self.check()
            await self.elapse(1.0)
        assert (self.admission.waiting, self.pool.leases) == (0, 0)
        assert self.admission._timer is None

    async def ask(self, key: str, model: str, excluding: str) -> None:
        """A call comes."""
        name = f"{key} {model}"
        alone = not any(task.get_name() == name for task in self.waiting)
        task = queue(self.admission, model=model, key=key, excluding=frozenset(excluding))
        task.set_name(name)
        number = self.ended + len(self.waiting)
        if alone and not excluding:
            self.passed[task] = {}
        self.waiting.append(task)
        fresh = "" if excluding else name
        task.add_done_callback(lambda task: self.end(task, model, number, fresh))

    def end(self, task: asyncio.Task[Lease], model: str, number: int, fresh: str) -> None:
        """A call has waited."""
        self.waiting.remove(task)
        self.passed.pop(task, None)
        self.ended += 1
        if task.cancelled() or task.exception():
            return
        self.held.append(task.result())
        if fresh:
            self.served.setdefault(fresh, []).append(number)
        name = task.get_name()
        for other, before in list(self.passed.items()):
            if other.get_name() == name:
                del self.passed[other]  # a returning call took its key's turn
            elif other.get_name().endswith(model):
                before[name] = before.get(name, 0) + 1

    async def check(self) -> None:
        """No place is lost, nobody overtakes, and everybody is counted once."""
        await everyone_waits()
        admission, pool = self.admission, self.pool
        assert admission.waiting == len(self.waiting)
        assert pool.leases == len(self.held)
        if admission._timer is None or admission._rings_at > LoopClock().monotonic():
            for queue in admission._line.queues:
                if any(not each.returning for each in queue._waiters.values()):
                    free = pool.can_take(Wanted(queue.demand.model), now=now())
                    assert not free, "a place is lost"
        for numbers in self.served.values():
            assert numbers == sorted(numbers), "a call was overtaken by one of its key"
        for before in self.passed.values():
            assert max(before.values(), default=0) <= 1, "a key went twice before another's first"


ACCOUNTS = (account("a", concurrency_max=1), account("b", concurrency_max=2))
STEPS = 250


def some_step(rng: Random) -> tuple[Any, ...]:
    """Return what happens next; more come than the accounts can take."""
    at = rng.randrange(100)
    limit = RateLimited(rng.uniform(0.5, 20.0), model=rng.choice([None, "m1"]))
    outcome = rng.choice([DONE, DONE, DONE, Abandoned(), Broken("cut", sent=True), limit])
    excluding = rng.choice(["", "", "", "", "a", "b"])
    return rng.choice(
        [("ask", rng.choice(["k1", "k2", "k3"]), rng.choice(["m1", "m1", "m2"]), excluding)] * 5
        + [("settle", at, outcome)] * 4
        + [("begin", at), ("cancel", at), ("elapse", rng.expovariate(1.0))]
        + [("reload", rng.choice([0, 1, 2, 2]))] * (rng.random() < 0.2)
    )


@pytest.mark.parametrize("seed", range(60))
@virtual
async def test_the_line_is_fair_and_loses_nothing(seed):
    """Whatever happens in whatever order."""
    rng, crowd, asked = Random(seed), Crowd(), 0
    for _ in range(STEPS):
        step = some_step(rng)
        asked += step[0] == "ask"
        await crowd.play(*step)
    await crowd.go_home()
    assert crowd.ended == asked
    assert sum(map(len, crowd.served.values())) > 5
