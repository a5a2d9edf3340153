"""The pool: leases, what they teach, and that it holds at any order of events."""

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from app.domain.account import AccountId, Credential, Secret
from app.domain.outcome import (
    Abandoned,
    Broken,
    Outcome,
    Overloaded,
    RateLimited,
    Succeeded,
    Unauthorized,
    Unsuited,
)
from app.domain.usage import Usage
from app.pool import pool as pool_module
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool, Lease, NotBefore
from app.pool.state import AccountState, Health
from tests.fakes.accounts import account, call

NOW = 1_000.0
LIMIT = RateLimited(2_000.0)
REFUSED = Unauthorized(dead=False, reason="expired")
NOBODY = NotBefore(None, busy=False)


def pool_of(*accounts, seed: int = 1) -> AccountPool:
    """Return a pool of these accounts."""
    pool = AccountPool(rng=Random(seed), affinity=AffinityTable(entries_max=1_000, ttl_s=1e6))
    pool.apply(accounts, now=NOW)
    return pool


def lease(pool: AccountPool, *, now: float = NOW, excluding=(), preferring=None, **changes):
    """Lease for the usual call."""
    ids = frozenset(AccountId(name) for name in excluding)
    return pool.lease(call(**changes), excluding=ids, preferring=preferring, now=now)


def state_of(pool: AccountPool, name: str = "a") -> AccountState:
    """Return what the pool knows of an account."""
    return next(state for state in pool.states if state.account.id == name)


def test_an_empty_pool_leases_nothing():
    """And nothing will change that by itself."""
    assert lease(pool_of()) == NOBODY


def test_a_lease_counts_until_it_is_settled():
    """With the tokens that it cost."""
    pool = pool_of(account())
    taken = lease(pool)
    assert isinstance(taken, Lease)
    assert (pool.leases, state_of(pool).in_flight) == (1, 1)
    pool.settle(taken, Succeeded(0.1, Usage(input=3, output=4)), now=NOW)
    known = state_of(pool)
    assert (pool.leases, known.in_flight, known.requests, known.tokens) == (0, 0, 1, 7)


def test_settling_twice_is_a_defect():
    """It would give back somebody else's place."""
    pool = pool_of(account())
    taken = lease(pool)
    pool.settle(taken, Succeeded(0.1), now=NOW)
    with pytest.raises(KeyError):
        pool.settle(taken, Succeeded(0.1), now=NOW)


def test_a_full_account_is_busy_until_a_lease_is_settled():
    """No time is known at which that will be."""
    pool = pool_of(account(concurrency_max=2))
    first = lease(pool)
    lease(pool)
    assert lease(pool) == NotBefore(None, busy=True)
    assert not pool.has_room(now=NOW)
    pool.settle(first, Abandoned(), now=NOW)
    assert pool.has_room(now=NOW)
    assert isinstance(lease(pool), Lease)


def test_a_resting_account_is_leased_again_when_its_rest_is_over():
    """Not a moment before."""
    pool = pool_of(account())
    pool.settle(lease(pool), LIMIT, now=NOW)
    until = state_of(pool).ready_at
    assert lease(pool, now=until - 0.001) == NotBefore(until, busy=False)
    assert not pool.has_room(now=until - 0.001)
    assert isinstance(lease(pool, now=until), Lease)


def test_a_rest_that_was_made_longer_ends_at_its_later_end():
    """The earlier alarm wakes nobody."""
    pool = pool_of(account())
    one, two = lease(pool), lease(pool)
    pool.settle(one, RateLimited(1_100.0), now=NOW)
    pool.settle(two, RateLimited(3_000.0), now=NOW)
    until = state_of(pool).ready_at
    assert until >= 3_000.0
    assert lease(pool, now=1_200.0) == NotBefore(until, busy=False)
    assert isinstance(lease(pool, now=until), Lease)


def test_the_earliest_of_all_rests_is_told():
    """That is when to come back."""
    pool = pool_of(account("a"), account("b"))
    for reset in (5_000.0, 3_000.0):
        pool.settle(lease(pool), RateLimited(reset), now=NOW)
    earliest = min(state.ready_at for state in pool.states)
    assert lease(pool) == NotBefore(earliest, busy=False)


def test_a_model_at_rest_leaves_the_others_alone():
    """Its end is told to those who ask for it."""
    pool = pool_of(account())
    pool.settle(lease(pool), RateLimited(2_000.0, model="m1"), now=NOW)
    until = state_of(pool).model_ready_at["m1"]
    assert lease(pool) == NotBefore(until, busy=False)
    assert isinstance(lease(pool, model="m2"), Lease)
    assert isinstance(lease(pool, now=until), Lease)


def test_an_account_is_asked_only_for_its_models():
    """For another one it is as if it were not there."""
    pool = pool_of(account(models=("m2",)))
    assert lease(pool) == NOBODY
    assert isinstance(lease(pool, model="m2"), Lease)


def test_accounts_that_were_tried_are_left_out():
    """Whatever their health: for this call they do not count."""
    pool = pool_of(account("a"), account("b"))
    assert lease(pool, excluding=("a",)).account.id == "b"
    assert lease(pool, excluding=("a", "b")) == NOBODY
    pool.settle(lease(pool, excluding=("b",)), LIMIT, now=NOW)
    assert lease(pool, excluding=("a", "b")) == NOBODY


def test_a_session_stays_on_its_account():
    """Its prompt cache is there."""
    pool = pool_of(*(account(f"a{n}") for n in range(20)))
    home = lease(pool, session_key="s").account.id
    assert {lease(pool, session_key="s").account.id for _ in range(20)} == {home}


def test_a_session_moves_when_its_account_can_not_take_it():
    """And stays where it went."""
    pool = pool_of(account("a"), account("b"))
    first = lease(pool, session_key="s")
    home = first.account.id
    pool.settle(first, LIMIT, now=NOW)
    other = lease(pool, session_key="s").account.id
    assert other != home
    assert lease(pool, session_key="s", now=9_000.0).account.id == other


def test_a_session_moves_when_its_model_rests():
    """Just the same."""
    pool = pool_of(account("a"), account("b"))
    first = lease(pool, session_key="s")
    pool.settle(first, RateLimited(2_000.0, model="m1"), now=NOW)
    assert lease(pool, session_key="s").account.id != first.account.id


def test_the_owner_of_encrypted_items_goes_before_the_session():
    """Only it can read them; and who is to try once more goes before both."""
    pool = pool_of(*(account(name) for name in "abc"))
    pool.bind("item", AccountId("b"), now=NOW)
    pool.bind("s", AccountId("a"), now=NOW)
    assert pool.owner("item", now=NOW) == "b"
    assert lease(pool, session_key="s", owner_keys=("unknown", "item")).account.id == "b"
    again = lease(pool, session_key="s", owner_keys=("item",), preferring=AccountId("c"))
    assert again.account.id == "c"
    assert lease(pool, session_key="s", owner_keys=("item",), excluding="c").account.id == "b"


def test_an_account_that_is_out_comes_back_with_a_newer_credential():
    """Not with the same one."""
    pool = pool_of(account())
    pool.settle(lease(pool), REFUSED, now=NOW)
    assert lease(pool) == NOBODY
    pool.put(account(), now=NOW)
    assert lease(pool) == NOBODY
    pool.put(account(generation=1), now=NOW)
    assert lease(pool).account.credential.generation == 1


def test_a_late_refusal_of_an_old_credential_says_nothing_of_the_new_one():
    """But a limit is the account's, whichever credential met it."""
    pool = pool_of(account())
    old, older = lease(pool), lease(pool)
    pool.put(account(generation=1), now=NOW)
    pool.settle(old, REFUSED, now=NOW)
    assert state_of(pool).health is Health.READY
    pool.settle(older, LIMIT, now=NOW)
    assert state_of(pool).health is Health.COOLING


def test_an_older_credential_is_not_gone_back_to():
    """What else was changed counts all the same."""
    pool = pool_of(account(generation=2))
    pool.put(account(generation=1, email="new@x"), now=NOW)
    known = pool.account(AccountId("a"))
    assert (known.email, known.credential.generation) == ("new@x", 2)
    assert pool.account(AccountId("nobody")) is None


def test_a_renewal_ends_no_rest():
    """A limit outlives the credential that met it."""
    pool = pool_of(account())
    one, two = lease(pool), lease(pool)
    pool.settle(one, LIMIT, now=NOW)
    pool.settle(two, REFUSED, now=NOW)
    assert state_of(pool).health is Health.EXPIRED
    pool.put(account(generation=1), now=NOW)
    assert isinstance(lease(pool), NotBefore)
    assert isinstance(lease(pool, now=2_100.0), Lease)


@pytest.mark.parametrize(("expires_at", "usable"), [(None, True), (NOW + 1, True), (NOW, False)])
def test_an_expired_credential_is_not_tried(expires_at, usable):
    """It would only be refused."""
    token = Credential(Secret("at"), expires_at=expires_at)
    pool = pool_of(account(credential=token))
    assert isinstance(lease(pool), Lease) is usable


def test_an_account_can_be_retired():
    """By whoever learns that its credential is dead; of an unknown one nothing is learnt."""
    pool = pool_of(account())
    pool.retire(AccountId("a"), "revoked", dead=True)
    pool.retire(AccountId("nobody"), "revoked", dead=True)
    assert state_of(pool).health is Health.BANNED
    assert lease(pool) == NOBODY


@pytest.mark.parametrize("how", ["apply", "put"])
def test_an_account_that_is_switched_off_is_not_leased(how):
    """Whichever way the news comes; its calls in flight are settled as ever."""
    pool = pool_of(account("a"), account("b"))
    taken = lease(pool, excluding=("b",))
    off = account("a", enabled=False)
    if how == "apply":
        pool.apply([off, account("b")], now=NOW)
    else:
        pool.put(off, now=NOW)
    assert {lease(pool).account.id for _ in range(10)} == {"b"}
    pool.settle(taken, Succeeded(0.1), now=NOW)
    assert {lease(pool).account.id for _ in range(10)} == {"b"}
    pool.put(account("never", enabled=False), now=NOW)
    assert {state.account.id for state in pool.states} == {"b"}


def test_an_account_that_comes_back_brings_its_calls_in_flight_along():
    """Or it could be used above its limit."""
    pool = pool_of(account(concurrency_max=1))
    taken = lease(pool)
    pool.apply([], now=NOW)
    assert lease(pool) == NOBODY
    pool.apply([account(concurrency_max=1)], now=NOW)
    assert lease(pool) == NotBefore(None, busy=True)
    pool.settle(taken, Succeeded(0.1), now=NOW)
    assert isinstance(lease(pool), Lease)


def test_an_account_that_is_gone_is_forgotten_with_its_last_call():
    """A new one of the same name begins anew."""
    pool = pool_of(account())
    taken = lease(pool)
    pool.apply([], now=NOW)
    pool.settle(taken, LIMIT, now=NOW)
    pool.apply([account()], now=NOW)
    assert state_of(pool) == AccountState(account())


def test_a_limit_can_be_raised_and_lowered_while_calls_run():
    """More places are there at once; fewer, as soon as calls end."""
    pool = pool_of(account(concurrency_max=1))
    first = lease(pool)
    pool.apply([account(concurrency_max=2)], now=NOW)
    second = lease(pool)
    assert isinstance(second, Lease)
    pool.apply([account(concurrency_max=1)], now=NOW)
    pool.settle(first, Succeeded(0.1), now=NOW)
    assert lease(pool) == NotBefore(None, busy=True)
    pool.settle(second, Succeeded(0.1), now=NOW)
    assert isinstance(lease(pool), Lease)


def test_a_storm_of_calls_that_find_nobody_walks_the_accounts_once(monkeypatch):
    """Until something changes or a rest ends; different questions are bounded."""
    pool = pool_of(account())
    pool.settle(lease(pool), LIMIT, now=NOW)
    walks = []
    look = pool._look
    monkeypatch.setattr(pool, "_look", lambda *args: walks.append(args) or look(*args))
    assert len({lease(pool) for _ in range(50)}) == 1
    assert len(walks) == 1
    pool.put(account(generation=1), now=NOW)
    lease(pool)
    assert len(walks) == 2
    monkeypatch.setattr(pool_module, "PROSPECTS_MAX", 3)
    for number in range(20):
        lease(pool, model=f"m{number}")
        assert len(pool._prospects) <= 3


OUTCOMES: list[Outcome] = [
    Succeeded(0.1),
    Abandoned(),
    Broken("cut", sent=True),
    Overloaded("busy"),
    RateLimited(None),
    RateLimited(None, burst=True, model="m1"),
    Unauthorized(dead=False, reason="expired"),
    Unauthorized(dead=True, reason="gone"),
    Unsuited("m2", "no"),
]
NAMES = [f"a{n}" for n in range(4)]
names = st.sampled_from(NAMES)
models = st.sampled_from(["m1", "m2"])


class PoolMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, the books are right."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.pool = pool_of()
        self.generations = dict.fromkeys(NAMES, 0)
        self.configured: dict[str, int] = {}
        """The limits of the accounts that are in the store."""
        self.out: dict[int, Lease] = {}

    def stored(self, name: str, cap: int):
        """Return the account as the store has it."""
        return account(name, generation=self.generations[name], concurrency_max=cap)

    @rule(wanted=st.dictionaries(names, st.integers(1, 3)))
    def apply(self, wanted):
        """The store's rows arrive."""
        self.configured = wanted
        self.pool.apply([self.stored(*item) for item in wanted.items()], now=self.now)

    @rule(name=names, cap=st.integers(1, 3))
    def renew(self, name, cap):
        """One account has a new credential."""
        self.generations[name] += 1
        self.configured[name] = cap
        self.pool.put(self.stored(name, cap), now=self.now)

    @rule(name=names, dead=st.booleans())
    def retire(self, name, dead):
        """A renewal has failed."""
        self.pool.retire(AccountId(name), "why", dead=dead)

    @rule(seconds=st.sampled_from([0.1, 3.0, 70.0, 2_000.0]))
    def wait(self, seconds):
        """Time passes."""
        self.now += seconds

    @rule(
        target=leases,
        model=models,
        key=st.sampled_from([None, "s1", "s2"]),
        excluding=st.frozensets(names, max_size=2),
    )
    def lease(self, model, key, excluding):
        """A call asks for an account."""
        before = {
            s.account.id: (s.health, s.ready_at, s.model_ready_at.get(model, 0.0), s.full)
            for s in self.pool.states
        }
        ids = frozenset(map(AccountId, excluding))
        wanted = call(model=model, session_key=key)
        taken = self.pool.lease(wanted, excluding=ids, now=self.now)
        if isinstance(taken, Lease):
            status, ready_at, model_ready_at, full = before[taken.account.id]
            assert taken.account.id not in excluding
            assert status in (Health.READY, Health.COOLING)
            assert status is Health.READY or ready_at <= self.now
            assert model_ready_at <= self.now
            assert not full
            self.out[taken.number] = taken
            return taken
        usable = {
            name
            for name, (status, ready_at, model_at, full) in before.items()
            if name not in excluding
            and (status is Health.READY or (status is Health.COOLING and ready_at <= self.now))
            and max(model_at, 0.0) <= self.now
            and not full
        }
        assert not usable
        assert taken.at is None or taken.at > self.now
        return None

    @rule(taken=consumes(leases), outcome=st.sampled_from(OUTCOMES))
    def settle(self, taken, outcome):
        """An attempt is over."""
        if taken is not None:
            del self.out[taken.number]
            self.pool.settle(taken, outcome, now=self.now)

    @invariant()
    def leases_out_are_calls_in_flight(self):
        """In all and for each account."""
        assert self.pool.leases == len(self.out)
        counts = dict.fromkeys(NAMES, 0)
        for taken in self.out.values():
            counts[taken.account.id] += 1
        for state in self.pool.states:
            assert state.in_flight == counts[state.account.id]

    @invariant()
    def the_pool_has_the_accounts_of_the_store(self):
        """Those and no others."""
        assert {state.account.id for state in self.pool.states} == set(self.configured)

    @invariant()
    def the_ready_list_is_right(self):
        """Ready accounts with room stand in it, once, and nobody else."""
        listed = [state.account.id for state in self.pool._ready]
        assert sorted(listed) == sorted(
            state.account.id
            for state in self.pool.states
            if state.health is Health.READY and not state.full
        )
        assert self.pool._place == {name: place for place, name in enumerate(listed)}

    def teardown(self):
        """After the last call nothing is left over."""
        for taken in self.out.values():
            self.pool.settle(taken, Succeeded(0.1), now=self.now)
        assert self.pool.leases == 0
        assert self.pool._leaving == {}


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPoolMachine = PoolMachine.TestCase
