"""The pool: who is leased to which call, what leases teach, and what the operator decides."""

from random import Random

import pytest

from app.domain.account import AccountId, Credential, Secret
from app.domain.outcome import (
    Abandoned,
    Broken,
    RateLimited,
    Succeeded,
    Unauthorized,
    Unsuited,
)
from app.domain.quota import MAIN_FAMILY, RESET_SLACK_S, Credits, QuotaView, QuotaWindow
from app.domain.runtime import Strategy
from app.domain.usage import Usage
from app.pool.affinity import AffinityTable
from app.pool.policy import Policy
from app.pool.pool import AccountPool, Lease, NotBefore
from app.pool.shelves import Wanted
from app.pool.state import AccountState, Health
from tests.fakes.accounts import account, call

NOW = 1_000.0
LIMIT = RateLimited(2_000.0)
REFUSED = Unauthorized(dead=False, reason="expired")
NOBODY = NotBefore(None, busy=False)
RESET = 2_000.0
UNTIL = RESET + RESET_SLACK_S


def pool_of(*accounts, policy: Policy | None = None) -> AccountPool:
    """Return a pool of these accounts."""
    affinity = AffinityTable(entries_max=1_000, ttl_s=1e6)
    pool = AccountPool(rng=Random(1), affinity=affinity, policy=policy)
    pool.apply(accounts, now=NOW)
    return pool


def lease(pool, *, now=NOW, excluding=(), preferring=None, only=None, **changes):
    """Lease for the usual call."""
    ids = frozenset(AccountId(name) for name in excluding)
    wanted = call(**changes)
    return pool.lease(wanted, excluding=ids, preferring=preferring, only=only, now=now)


def view(used: float, *, family=MAIN_FAMILY, reset_at=RESET, **changes) -> QuotaView:
    """Return what an upstream says of one window."""
    return QuotaView(windows=(QuotaWindow(family, 300, used, reset_at),), **changes)


def observe(pool, heard, *, name="a", model=None, now=NOW) -> None:
    """Let an upstream speak of an account."""
    pool.observe(AccountId(name), heard, model=model, now=now)


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
    assert pool.has_room(now=until)
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


def test_who_is_to_try_once_more_needs_no_session():
    """Nor anything else that binds the call."""
    pool = pool_of(*(account(name) for name in "abc"))
    again = [lease(pool, preferring=AccountId("c")) for _ in range(5)]
    assert {(taken.account.id, taken.reason) for taken in again} == {("c", "preferred")}


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


def test_calls_wait_for_a_credential_that_is_being_renewed():
    """Until it is there, or getting it has failed; of a stranger nothing is learnt."""
    token = Credential(Secret("at"), renewable=True)
    pool = pool_of(account(credential=token))
    pool.settle(lease(pool), REFUSED, now=NOW)
    assert lease(pool) == NotBefore(None, busy=True)
    pool.not_renewed(AccountId("nobody"))
    for _ in range(2):
        pool.not_renewed(AccountId("a"))
        assert lease(pool) == NOBODY
    pool.put(account(credential=Credential(Secret("new"), 1, renewable=True)), now=NOW)
    pool.settle(lease(pool), REFUSED, now=NOW)
    assert lease(pool) == NotBefore(None, busy=True)
    pool.put(account(generation=2), now=NOW)
    assert isinstance(lease(pool), Lease)


def test_a_key_that_is_known_as_dead_is_out_until_its_operator_acts():
    """Whether it was there before or is new, and whether it got a new key or another trial."""
    good, dead = Credential(Secret("k")), Credential(Secret("k"), refused="invalid_api_key")
    for pool in (pool_of(account(credential=dead)), pool_of(account(credential=good))):
        for back in (good, Credential(Secret("new"), 1)):
            pool.put(account(credential=dead), now=NOW)
            assert lease(pool) == NOBODY
            assert pool.state(AccountId("a")).reason == "invalid_api_key"
            pool.put(account(credential=back), now=NOW)
            pool.settle(lease(pool), Succeeded(0.1), now=NOW)


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


def test_an_account_that_is_gone_is_remembered_for_all_its_calls():
    """Who comes back in between has the rest of them in flight."""
    pool = pool_of(account(concurrency_max=2))
    first, second = lease(pool), lease(pool)
    pool.apply([], now=NOW)
    pool.settle(first, Abandoned(), now=NOW)
    pool.apply([account(concurrency_max=2)], now=NOW)
    assert state_of(pool).in_flight == 1
    pool.apply([], now=NOW)
    pool.settle(second, Abandoned(), now=NOW)
    assert pool._leaving == {}


def test_an_account_that_is_gone_is_forgotten_with_its_last_call():
    """A new one of the same name begins anew."""
    pool = pool_of(account())
    taken = lease(pool)
    pool.apply([], now=NOW)
    pool.settle(taken, LIMIT, now=NOW)
    pool.apply([account()], now=NOW)
    fresh = AccountState(account())
    assert state_of(pool) == fresh


def test_whoever_publishes_the_counters_is_told_what_changed():
    """When a call is given away and when it ends, until the account is gone and idle."""
    pool = pool_of(account("a"), account("b"))

    def changed(since=0):
        told = pool.changes.counters(incarnation="x", since=since)
        found = [(each.account_id, each.in_flight, each.last_used_at) for each in told.accounts]
        return found, told.number

    assert changed() == ([], 0)
    taken = lease(pool, excluding="b", now=NOW + 5)
    found, number = changed()
    assert found == [("a", 1, NOW + 5)]
    assert changed(number)[0] == []
    other = lease(pool, excluding="a")
    pool.settle(taken, Succeeded(0.1), now=NOW)
    found, number = changed(number)
    assert found == [("a", 0, NOW + 5), ("b", 1, NOW)]
    pool.apply([], now=NOW)
    assert [name for name, *_ in changed()[0]] == ["b"]
    pool.settle(other, Succeeded(0.1), now=NOW)
    assert changed()[0] == []


def test_a_new_account_is_given_all_that_the_operator_allows():
    """Nothing speaks against it, and a higher bound later is tried one by one."""
    pool = pool_of(account(concurrency_max=100))
    assert (state_of(pool).window, state_of(pool).threshold) == (100.0, 100.0)
    pool.put(account(concurrency_max=100, email="new@x"), now=NOW)
    pool.put(account(concurrency_max=50), now=NOW)
    assert (state_of(pool).window, state_of(pool).threshold) == (50.0, 50.0)
    pool.put(account(concurrency_max=80), now=NOW)
    assert (state_of(pool).window, state_of(pool).threshold) == (50.0, 80.0)


def test_a_reload_leaves_the_window_of_calls_alone():
    """It is what the calls have shown, and no operator has said anything else."""
    pool = pool_of(account())
    state_of(pool).window, state_of(pool).threshold = 4.0, 8.0
    pool.apply([account(email="new@x")], now=NOW)
    assert (state_of(pool).window, state_of(pool).threshold) == (4.0, 8.0)


def test_accounts_that_come_one_by_one_are_in_the_order_in_which_they_came():
    """From the first on."""
    pool = pool_of(policy=Policy(strategy=Strategy.FILL_FIRST))
    for name in "bac":
        pool.put(account(name), now=NOW)
    assert [state_of(pool, name).ordinal for name in "bac"] == [0, 1, 2]


def test_a_credential_that_ended_by_itself_says_so_and_can_be_renewed():
    """Calls can wait for the new one."""
    token = Credential(Secret("at"), expires_at=NOW, renewable=True)
    pool = pool_of(account(credential=token))
    known = state_of(pool)
    assert (known.health, known.reason) == (Health.EXPIRED, "access token expired")
    assert lease(pool) == NotBefore(None, busy=True)


def test_fewer_places_count_at_once_and_more_are_tried_one_by_one():
    """The operator knows of a lower bound, and nobody knows what is beyond the old one."""
    pool = pool_of(account(concurrency_max=2))
    first, second = lease(pool), lease(pool)
    pool.apply([account(concurrency_max=1)], now=NOW)
    pool.settle(first, Succeeded(0.1), now=NOW)
    assert lease(pool) == NotBefore(None, busy=True)
    pool.apply([account(concurrency_max=2)], now=NOW)
    assert lease(pool) == NotBefore(None, busy=True)
    pool.began(second, first_event_s=0.1, now=NOW)
    assert isinstance(lease(pool), Lease)


def test_a_lease_says_why():
    """By its strategy, or because the call belongs somewhere."""
    pool = pool_of(account("a"), account("b"), policy=Policy(strategy=Strategy.FILL_FIRST))
    pool.bind("item", AccountId("b"), now=NOW)
    pool.bind("s", AccountId("b"), now=NOW)
    asked = {
        "fill_first": lease(pool),
        "session": lease(pool, session_key="s"),
        "owner": lease(pool, session_key="s", owner_keys=("item",)),
        "preferred": lease(pool, session_key="s", preferring=AccountId("b")),
        "only": lease(pool, session_key="s", only=AccountId("b")),
    }
    assert [taken.reason for taken in asked.values()] == list(asked)
    assert [taken.account.id for taken in asked.values()] == ["a", "b", "b", "b", "b"]
    lost = lease(pool, session_key="s", owner_keys=("item",), excluding="b")
    assert (lost.account.id, lost.reason) == ("a", "fill_first")


@pytest.mark.parametrize("who", [{"session_key": "s"}, {"preferring": "b"}, {"only": "b"}])
@pytest.mark.parametrize("wanted", [{"groups": ("g",)}, {"tags": ("t",)}, {"model": "m2"}])
def test_nobody_is_given_an_account_that_it_may_not_use(who, wanted):
    """Whatever belongs there: keys and entitlements change."""
    first = account("a", groups=("g",), tags=("t",), plan="plus")
    policy = Policy(tags=frozenset({"t"}), plans={"m2": frozenset({"plus"})})
    pool = pool_of(first, account("b", plan="free"), policy=policy)
    pool.bind("s", AccountId("b"), now=NOW)
    found = lease(pool, **who, **wanted)
    if "only" in who:
        assert found == NOBODY
    else:
        assert found.account.id == "a"


def test_only_one_account_is_asked_if_only_one_will_do():
    """What others could do is no matter: it is waited for, or nobody takes the call."""
    pool = pool_of(account("a", concurrency_max=1), account("b"))
    only = AccountId("a")
    taken = lease(pool, only=only)
    assert lease(pool, only=only) == NotBefore(None, busy=True)
    pool.settle(taken, RateLimited(RESET, model="m1"), now=NOW)
    until = state_of(pool).model_ready_at["m1"]
    assert lease(pool, only=only) == NotBefore(until, busy=False)
    pool.settle(lease(pool, only=only, model="m2"), LIMIT, now=NOW)
    ready_at = state_of(pool).ready_at
    assert lease(pool, only=only, model="m2") == NotBefore(ready_at, busy=False)
    assert lease(pool, only=only) == NotBefore(max(until, ready_at), busy=False)
    assert lease(pool, only=only, excluding="a") == NOBODY
    assert lease(pool, only=AccountId("x")) == NOBODY
    last = lease(pool, only=only, now=9_000.0)
    assert last.account.id == "a"
    pool.settle(last, Unauthorized(dead=True, reason="revoked"), now=NOW)
    assert lease(pool, only=only, now=9_000.0) == NOBODY


def test_a_higher_priority_goes_first_until_it_is_full():
    """A session stays below all the same: its prompt cache is there."""
    pool = pool_of(account("low"), account("high", priority=1, concurrency_max=1))
    home = lease(pool, session_key="s", excluding=("high",))
    assert home.account.id == "low"
    first = lease(pool)
    assert first.account.id == "high"
    assert lease(pool).account.id == "low"
    pool.settle(first, Succeeded(0.1), now=NOW)
    assert lease(pool, session_key="s").account.id == "low"
    assert lease(pool).account.id == "high"


def test_who_comes_back_from_a_rest_is_tried_with_one_call():
    """More may follow once the upstream has taken it; the first word counts."""
    pool = pool_of(account())
    pool.settle(lease(pool), LIMIT, now=NOW)
    assert pool.next_wake_at == state_of(pool).ready_at
    assert pool.wake(now=NOW) == 0
    assert pool.wake(now=3_000.0) == 1
    assert (state_of(pool).health, pool.next_wake_at) == (Health.PROBING, None)
    probe = lease(pool, now=3_000.0)
    assert lease(pool, now=3_000.0) == NotBefore(None, busy=True)
    pool.began(probe, first_event_s=3.0, now=3_003.0)
    known = state_of(pool)
    assert (known.health, known.wait_s, known.window) == (Health.READY, 3.0, 2.0)
    pool.began(probe, first_event_s=9.0, now=3_009.0)
    pool.settle(probe, Succeeded(9.0), now=3_010.0)
    pool.began(probe, first_event_s=9.0, now=3_011.0)
    assert (known.wait_s, known.wait_at, known.window) == (3.0, 3_003.0, 2.0)


def test_a_success_that_nobody_saw_begin_began():
    """A reply can be whole at once; who stands goes on standing."""
    pool = pool_of(account())
    first = lease(pool)
    pool.began(first, first_event_s=0.1, now=NOW)
    pool.settle(first, Abandoned(), now=NOW)
    pool.settle(lease(pool), LIMIT, now=NOW)
    probe = lease(pool, now=3_000.0)
    pool.settle(probe, Succeeded(3.0), now=3_003.0)
    assert (state_of(pool).health, state_of(pool).wait_at) == (Health.READY, 3_003.0)


def test_a_failure_counts():
    """As a wait, or as crowding; who abandons says nothing."""
    pool = pool_of(account())
    pool.settle(lease(pool), Broken("cut", sent=True), now=NOW)
    pool.settle(lease(pool), Abandoned(), now=NOW)
    known = state_of(pool)
    assert (known.requests, known.successes, known.failures) == (2, 0, 1)
    assert known.wait_s > 1.0


def test_quota_that_is_used_up_pauses_the_account():
    """Until the window ends, or somebody says that it has; of a stranger nothing is learnt."""
    pool = pool_of(account("a"), account("b"))
    observe(pool, view(1.0))
    observe(pool, view(1.0), name="nobody")
    assert {lease(pool).account.id for _ in range(5)} == {"b"}
    assert lease(pool, excluding="b") == NotBefore(UNTIL, busy=False)
    assert lease(pool, excluding="b", now=UNTIL).account.id == "a"
    observe(pool, view(1.0), name="b")
    observe(pool, view(0.5), name="b")
    assert lease(pool, excluding="a").account.id == "b"


def test_a_pause_that_ends_later_than_thought_is_told_anew():
    """To those who ask while it lasts."""
    pool = pool_of(account())
    observe(pool, view(1.0))
    assert lease(pool) == NotBefore(UNTIL, busy=False)
    observe(pool, view(1.0, reset_at=RESET + 500))
    assert lease(pool) == NotBefore(UNTIL + 500, busy=False)
    assert pool.next_wake_at == UNTIL + 500


def test_a_model_rests_while_the_limit_is_used_up_that_it_is_metered_under():
    """On all accounts of which that was heard, also before anybody knew which models it governs."""
    pool = pool_of(account("a"), account("b"))
    observe(pool, view(1.0, family="other"), name="a")
    assert lease(pool, excluding="b").account.id == "a"
    observe(pool, view(0.1, family="other", active_family="other"), name="b", model="m1")
    assert lease(pool, excluding="b") == NotBefore(UNTIL, busy=False)
    observe(pool, view(0.1, active_family=MAIN_FAMILY), name="b", model="m2")
    assert pool.families == {"m1": "other", "m2": MAIN_FAMILY}
    assert lease(pool, excluding="b") == NotBefore(UNTIL, busy=False)
    assert lease(pool, excluding="b", model="m2").account.id == "a"
    observe(pool, QuotaView(credits=Credits(available=True)), name="a")
    assert lease(pool, excluding="b").account.id == "a"


def test_a_model_that_was_refused_rests_as_long_as_was_said_whatever_the_windows_say():
    """A pause may stand over the rest for a while."""
    pool = pool_of(account())
    first = lease(pool)
    observe(pool, view(1.0, family="other", active_family="other"), model="m1")
    pool.settle(first, RateLimited(RESET - 500, model="m1"), now=NOW)
    assert lease(pool) == NotBefore(UNTIL, busy=False)
    observe(pool, view(0.1, family="other"))
    found = lease(pool)
    assert RESET - 500 <= found.at < RESET - 490


def test_tokens_are_spent_in_the_windows_that_meter_them():
    """By the model of the call."""
    pool = pool_of(account())
    observe(pool, view(0.1))
    observe(pool, view(0.1, family="other", active_family="other"), model="m1")
    for model in ("m1", "m2"):
        used = Usage(input=3 if model == "m1" else 5)
        pool.settle(lease(pool, model=model), Succeeded(0.1, used), now=NOW)
    windows = state_of(pool).windows
    assert {family: gauge.tokens for (family, _), gauge in windows.items()} == {
        "other": 3,
        MAIN_FAMILY: 5,
    }


def test_a_plan_that_an_upstream_names_changes_no_account():
    """The store owns it."""
    pool = pool_of(account(plan="free"))
    observe(pool, view(0.1, plan="plus"))
    assert pool.account(AccountId("a")).plan == "free"


def test_what_is_heard_ranks_the_account_anew():
    """For a strategy that hangs on it."""
    pool = pool_of(
        *(account(name) for name in "abc"), policy=Policy(strategy=Strategy.REMAINING_QUOTA)
    )
    for name, used in (("a", 0.5), ("b", 0.3), ("c", 0.9)):
        observe(pool, view(used), name=name)
    assert lease(pool).account.id == "b"
    observe(pool, view(0.0), name="c")
    assert lease(pool).account.id == "c"
    assert lease(pool, excluding="bc", now=UNTIL).account.id == "a"


def test_a_window_that_ends_ranks_its_account_anew():
    """At that moment, and without anybody saying so."""
    pool = pool_of(account("a"), account("b"), policy=Policy(strategy=Strategy.REMAINING_QUOTA))
    observe(pool, view(0.9), name="a")
    observe(pool, view(0.3, reset_at=9_000.0), name="b")
    assert lease(pool, now=UNTIL - 0.1).account.id == "b"
    assert lease(pool, now=UNTIL).account.id == "a"


def test_what_is_heard_of_quota_feeds_the_forecast():
    """Together with what was spent meanwhile; nothing is forecast before."""
    pool = pool_of(account())
    known, hour_s = state_of(pool), 3_600.0

    def forecast(now):
        return pool.runways.account(known, pause_at=1.0, now=now)

    assert forecast(NOW) is None
    for step in range(12):
        now = NOW + step * 600.0
        pool.settle(lease(pool, now=now), Succeeded(0.1, Usage(input=1_000)), now=now)
        observe(pool, view(0.05 * step, reset_at=NOW + 5 * hour_s), now=now)
    assert 0.0 < forecast(now).mid_s < 5 * hour_s
    pool.apply([], now=now)
    assert forecast(now) is None


def test_another_policy_counts_at_once():
    """For the choice, for pauses, and for who may serve what."""
    accounts = [account("a", plan="free"), account("b", groups=("g",), plan="plus")]
    pool = pool_of(*accounts, policy=Policy(strategy=Strategy.FILL_FIRST))
    observe(pool, view(0.6), name="a")
    observe(pool, view(0.5), name="b")
    assert lease(pool).account.id == "a"
    policy = Policy(strategy=Strategy.FILL_FIRST, pause_at=0.6, group_pause_at={"g": 0.9})
    pool.configure(policy, now=NOW)
    assert lease(pool).account.id == "b"
    assert lease(pool, excluding="b") == NotBefore(UNTIL, busy=False)
    policy = Policy(strategy=Strategy.ROUND_ROBIN, plans={"m1": frozenset({"plus"})})
    pool.configure(policy, now=NOW)
    assert pool.policy is policy
    assert lease(pool, excluding="b") == NOBODY
    assert lease(pool, excluding="b", model="m2").reason == "round_robin"


def test_an_equal_policy_changes_nothing():
    """Whoever reads the store may say it again and again."""
    pool = pool_of(account("a"), account("b"))
    before = pool._shelves._shelves
    pool.configure(Policy(), now=NOW)
    assert pool._shelves._shelves is before


def test_an_account_has_a_threshold_of_its_own():
    """It is paused as soon as it is set, and goes on once it is taken back."""
    pool = pool_of(account())
    observe(pool, view(0.6))
    pool.put(account(pause_at=0.5), now=NOW)
    assert lease(pool) == NotBefore(UNTIL, busy=False)
    pool.put(account(), now=NOW)
    assert isinstance(lease(pool), Lease)


def test_the_operator_can_have_an_account_forget_its_rests():
    """And no reload brings them back; what is heard next may."""
    pool = pool_of(account())
    pool.settle(lease(pool), Unsuited("m1", "no"), now=NOW)
    pool.settle(lease(pool, model="m2"), LIMIT, now=NOW)
    observe(pool, view(1.0))
    for name in ("a", "nobody"):
        pool.reset(AccountId(name), now=NOW)
    pool.apply([account()], now=NOW)
    taken = lease(pool)
    assert isinstance(taken, Lease)
    pool.began(taken, first_event_s=0.1, now=NOW)
    observe(pool, view(1.0))
    assert lease(pool) == NotBefore(UNTIL, busy=False)


def test_whether_a_call_could_be_taken_is_known_without_taking_it():
    """By what it asks for."""
    pool = pool_of(account("a", groups=("g",), models=("m1",), concurrency_max=1))
    assert pool.can_take(Wanted("m1"), now=NOW)
    assert pool.can_take(Wanted("m1", ("g",)), now=NOW)
    assert not pool.can_take(Wanted("m1", ("h",)), now=NOW)
    assert not pool.can_take(Wanted("m2"), now=NOW)
    pool.settle(lease(pool), LIMIT, now=NOW)
    assert not pool.can_take(Wanted("m1"), now=NOW)
    until = state_of(pool).ready_at
    assert not pool.can_take(Wanted("m1"), now=until - 0.001)
    assert pool.can_take(Wanted("m1"), now=until)
    lease(pool, now=3_000.0)
    assert not pool.can_take(Wanted("m1"), now=3_000.0)


def test_accounts_are_filled_in_the_order_of_the_store():
    """Which may change; those that come by themselves are the last."""
    pool = pool_of(account("a"), account("b"), policy=Policy(strategy=Strategy.FILL_FIRST))
    assert lease(pool).account.id == "a"
    pool.apply([account("b"), account("a", enabled=False), account("c")], now=NOW)
    assert lease(pool).account.id == "b"
    pool.apply([account("c"), account("b"), account("a")], now=NOW)
    assert lease(pool).account.id == "c"
    pool.put(account("d"), now=NOW)
    pool.put(account("e"), now=NOW)
    pool.put(account("b", email="new@example.com"), now=NOW)
    assert [state_of(pool, name).ordinal for name in "cbade"] == [0, 1, 2, 3, 4]


def test_a_storm_of_calls_that_find_nobody_walks_no_accounts():
    """However many ask."""
    pool = pool_of(account(), account("b", concurrency_max=1))
    pool.settle(lease(pool, excluding="b"), LIMIT, now=NOW)
    lease(pool)
    assert len({lease(pool) for _ in range(50)}) == 1
    assert len(pool._shelves._prospects) == 1


def test_many_sessions_push_no_owner_out():
    """A conversation that depends on one account is not forgotten for thousands of single calls."""
    owners = AffinityTable(entries_max=10, ttl_s=1e6)
    sessions = AffinityTable(entries_max=2, ttl_s=1e6)
    pool = AccountPool(rng=Random(1), affinity=sessions, owners=owners)
    pool.apply([account("a"), account("b")], now=NOW)
    pool.bind("item", AccountId("b"), now=NOW)
    for number in range(20):
        pool.settle(lease(pool, session_key=f"s{number}"), Succeeded(0.1), now=NOW)
    assert pool.owner("item", now=NOW) == "b"
    assert lease(pool, owner_keys=("item",)).account.id == "b"
