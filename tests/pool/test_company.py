"""What a pool tells others and hears of them."""

from random import Random

import pytest

from app.domain.account import AccountId
from app.domain.outcome import Abandoned, Broken, RateLimited, Unsuited
from app.domain.quota import QuotaView, QuotaWindow
from app.domain.shared import AccountRested, Binding, QuotaHeard
from app.pool.affinity import AffinityTable
from app.pool.company import BINDINGS_MAX
from app.pool.pool import AccountPool, Lease
from app.pool.state import UNSHARED, Health
from tests.fakes.accounts import account, call

NOW = 1_000.0
A, B = AccountId("a"), AccountId("b")


class Member:
    """One process's pool, and what it told."""

    def __init__(self, *names: str) -> None:
        self.told: list[object] = []
        self.pool = AccountPool(
            rng=Random(1),
            affinity=AffinityTable(entries_max=1_000, ttl_s=1e6),
            owners=AffinityTable(entries_max=1_000, ttl_s=1e6),
        )
        self.company = self.pool.company
        self.company.join(self.told.append)
        self.pool.apply([account(name) for name in names or ("a",)], now=NOW)
        for state in self.pool.states:
            self.company.limit(state.account.id, 8, now=NOW)

    def lease(self, *, now: float = NOW, **changes) -> Lease:
        """Lease for a call."""
        found = self.pool.lease(call(**changes), excluding=frozenset(), now=now)
        assert isinstance(found, Lease)
        return found

    def state(self, account_id: AccountId = A):
        """Return an account."""
        return self.pool.state(account_id)


def test_an_account_without_a_share_is_full_and_not_in_vain():
    """Calls wait for it, until there is a share; what is under way goes on when it shrinks."""
    member = Member()
    member.company.limit(A, 0, now=NOW)
    found = member.pool.lease(call(), excluding=frozenset(), now=NOW)
    assert found.busy
    member.company.limit(A, 2, now=NOW)
    first = member.lease()
    member.lease()
    assert not member.pool.has_room(now=NOW)
    member.company.limit(A, 1, now=NOW)
    member.pool.settle(first, Abandoned(), now=NOW)
    assert not member.pool.has_room(now=NOW)
    member.company.limit(AccountId("gone"), 1, now=NOW)


def test_a_pool_alone_has_its_accounts_whole_and_tells_nobody():
    """Nothing is kept for anybody."""
    pool = AccountPool(rng=Random(1), affinity=AffinityTable(entries_max=10, ttl_s=1e6))
    pool.apply([account()], now=NOW)
    assert pool.state(A).share == UNSHARED
    lease = pool.lease(call(session_key="s"), excluding=frozenset(), now=NOW)
    pool.settle(lease, RateLimited(NOW + 50), now=NOW)
    pool.observe(
        A, QuotaView(windows=(QuotaWindow("codex", 300, 0.5, 2_000.0),)), model="m1", now=NOW
    )
    assert pool.company.bindings(10) == []


def test_who_comes_back_has_no_share_until_it_is_given_one():
    """Nobody knows what became of the old one meanwhile."""
    member = Member()
    lease = member.lease()
    member.pool.apply([], now=NOW)
    member.pool.apply([account()], now=NOW)
    assert member.state().share == 0
    member.pool.settle(lease, Abandoned(), now=NOW)


@pytest.mark.parametrize(
    ("outcome", "model"),
    [
        (RateLimited(NOW + 100), None),
        (RateLimited(None, burst=True), None),
        (RateLimited(NOW + 100, model="m1"), "m1"),
        (Unsuited("m1", "no"), "m1"),
    ],
)
def test_a_refusal_by_the_upstream_rests_the_account_everywhere(outcome, model):
    """It is told once, taken over twice without harm, and not told on."""
    one, two = Member(), Member()
    leases = [one.lease(), one.lease()]
    for lease in leases:
        one.pool.settle(lease, outcome, now=NOW)
    [news] = one.told
    assert isinstance(news, AccountRested)
    assert (news.account_id, news.model) == (A, model)
    for _ in range(2):
        two.company.rest(news, now=NOW)
        found = two.pool.lease(call(), excluding=frozenset(), now=NOW)
        assert (found.at, found.busy) == (news.until, False)
    assert two.told == []
    two.lease(now=news.until)


def test_own_trouble_is_not_told():
    """The others will see for themselves."""
    member = Member()
    for _ in range(5):
        member.pool.settle(member.lease(), Broken("reset", sent=True), now=NOW)
        if member.state().health is not Health.READY:
            break
    assert member.state().health is Health.COOLING
    assert member.told == []


def test_what_others_tell_makes_no_rest_shorter():
    """Nor does it begin one that is over, or of an account that is not there."""
    member = Member()
    member.pool.settle(member.lease(), RateLimited(NOW + 500), now=NOW)
    ends_at = member.state().ready_at
    member.company.rest(AccountRested(A, NOW + 100, "limit"), now=NOW)
    assert member.state().ready_at == ends_at
    member.company.rest(AccountRested(B, NOW + 100, "limit"), now=NOW)
    other = Member()
    other.company.rest(AccountRested(A, NOW - 1, "limit"), now=NOW)
    assert other.state().health is Health.READY


def quota(used: float, *, reset_at: float = 2_000.0) -> QuotaView:
    """Return what a reply says."""
    return QuotaView(windows=(QuotaWindow("codex", 300, used, reset_at),), active_family="codex")


def test_what_replies_say_of_limits_is_told_by_whole_percents():
    """Not what everybody can ask for, and not what was overheard."""
    one, two = Member(), Member()
    one.pool.observe(A, quota(0.501), model="m1", now=NOW)
    one.pool.observe(A, quota(0.502, reset_at=2_003.0), model="m1", now=NOW)
    one.pool.observe(A, quota(0.9), model=None, now=NOW)
    [news] = one.told
    assert news == QuotaHeard(A, quota(0.501), "m1")
    two.pool.observe(A, news.view, model=news.model, now=NOW, overheard=True)
    assert two.state().windows["codex", 300].used_ratio == 0.501
    assert two.told == []
    one.pool.observe(A, quota(0.52), model="m1", now=NOW)
    assert len(one.told) == 2


def test_what_belongs_to_an_account_is_told_when_it_changes():
    """And the later of two words counts."""
    one, two = Member("a", "b"), Member("a", "b")
    home = one.lease(session_key="s").account.id
    one.lease(session_key="s")
    one.pool.bind("k:item", B, now=NOW)
    one.pool.bind("k:item", B, now=NOW)
    said = one.company.bindings(10)
    assert said == [Binding("s", home, NOW, owned=False), Binding("k:item", B, NOW, owned=True)]
    assert one.company.bindings(10) == []
    two.company.bind(said)
    assert two.pool.owner("k:item", now=NOW) == B
    assert two.lease(session_key="s").account.id == home
    assert two.company.bindings(10) == []
    two.pool.bind("k:item", A, now=NOW + 5)
    two.company.bind([Binding("k:item", B, NOW + 4, owned=True)])
    assert two.pool.owner("k:item", now=NOW + 5) == A
    two.company.bind([Binding("k:item", B, NOW + 6, owned=True)])
    assert two.pool.owner("k:item", now=NOW + 6) == B


def test_bindings_wait_in_bounded_number():
    """The oldest go: a session that is not known elsewhere costs a cold cache."""
    member = Member()
    for number in range(BINDINGS_MAX + 5):
        member.pool.bind(f"k:{number}", A, now=NOW)
    found = member.company.bindings(BINDINGS_MAX * 2)
    assert len(found) == BINDINGS_MAX
    assert found[0].key == "k:5"
