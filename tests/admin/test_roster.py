"""Tests of app.admin.roster."""

import pytest

from app.admin import roster as module
from app.admin.roster import PAGE_MAX, AccountQuery, Sort, Status
from app.domain.account import AccountId, AccountKind
from app.domain.outcome import Succeeded, Unauthorized
from app.pool.state import Gauge, Health
from tests.admin.accounts import Accounts
from tests.fakes.accounts import account


async def names(accounts: Accounts, **wanted) -> list[str]:
    """Return the names of what is found."""
    found = await accounts.roster.page(AccountQuery(**wanted), offset=0, limit=100)
    return [row.name for row in found.rows]


@pytest.mark.parametrize(("wanted", "expected"), [
    ({}, ["a", "b", "c", "d"]),
    ({"text": "B@EX"}, ["b"]),
    ({"status": (Status.COOLING,)}, ["b"]),
    ({"status": (Status.DISABLED, Status.DAMAGED)}, ["c", "d"]),
    ({"kind": ("openai",)}, ["a"]),
    ({"plan": ("pro", "plus")}, ["b"]),
    ({"group": ("x", "y")}, ["a", "b"]),
    ({"tag": ("t", "u")}, ["b"]),
    ({"text": "nobody"}, []),
], ids=str)  # fmt: skip
async def test_accounts_are_found_by_what_they_are(wanted, expected):
    """Any of the groups, all of the tags."""
    accounts = Accounts()
    accounts.put(account("a", kind=AccountKind.OPENAI, groups=("x",), tags=("t",)))
    b = account("b", email="b@example.com", plan="pro", groups=("y",), tags=("t", "u"))
    accounts.put(b).health = Health.COOLING
    accounts.put(account("c", enabled=False))
    accounts.put(account("d"), damaged=True)
    assert await names(accounts, **wanted) == expected
    found = await accounts.roster.page(AccountQuery(**wanted), offset=0, limit=1)
    assert found.total == len(expected)
    assert found.statuses["ready"] == 1
    assert sum(found.statuses.values()) == 4
    assert found.statuses == await accounts.roster.statuses()
    assert sorted(await accounts.roster.matching(AccountQuery(**wanted))) == expected


@pytest.mark.parametrize("sort", list(Sort))
async def test_accounts_stand_in_the_order_that_is_wanted(sort):
    """The other way round as well; equal ones by name."""
    accounts = Accounts("a", "b", "c")
    now = accounts.clock.now()
    one = accounts.states[AccountId("b")]
    one.account = accounts.stored[AccountId("b")].account
    one.health, one.in_flight, one.requests, one.tokens = Health.COOLING, 3, 3, 3
    one.last_used_at = now
    one.windows = {("codex", 300): Gauge(0.5, now + 60, now, now)}
    stored = account("b", priority=5)
    accounts.stored[AccountId("b")] = module.StoredAccount(stored, 99.0, 0.0)
    for _ in range(3):
        accounts.rates.attempt(AccountId("b"), Unauthorized(dead=False, reason=""), now=now)
    accounts.rates.attempt(AccountId("a"), Succeeded(0.1), now=now)
    last = "c" if sort is Sort.NAME else "b"
    assert (await names(accounts, sort=sort))[-1] == last
    assert (await names(accounts, sort=sort, descending=True))[0] == last


async def test_a_page_is_a_part_and_bounded():
    """However much is asked for."""
    accounts = Accounts(*(f"{number:04}" for number in range(PAGE_MAX + 20)))
    page = await accounts.roster.page(AccountQuery(), offset=10, limit=10_000)
    assert (len(page.rows), page.total) == (PAGE_MAX, PAGE_MAX + 20)
    assert page.rows[0].name == "0010"


def test_a_row_tells_what_the_pool_observes():
    """A window that is over is empty, a rest that is over is none."""
    accounts = Accounts("a")
    now = accounts.clock.now()
    state = accounts.states[AccountId("a")]
    state.windows = {
        ("codex", 300): Gauge(0.5, now + 60, now, now, tokens=7, requests=2),
        ("codex", 10080): Gauge(1.0, now - 60, now, now, tokens=9, requests=3),
    }
    state.model_ready_at = {"m": now + 5, "n": now - 5}
    state.ready_at = now + 9
    row = accounts.roster.row(AccountId("a"))
    assert [(each.name, each.used_ratio, each.reset_at, each.tokens) for each in row.windows] == [
        ("5h", 0.5, now + 60, 7), ("7d", 0.0, None, 0),
    ]  # fmt: skip
    assert (row.model_rests, row.until, row.last_used_at) == ({"m": now + 5}, now + 9, None)
    state.ready_at = now - 1
    assert accounts.roster.row(AccountId("a")).until is None
    assert accounts.roster.row(AccountId("gone")) is None


def test_a_mark_changes_with_the_account():
    """So that who watches looks no further at those that are as they were."""
    accounts = Accounts("a")
    before = accounts.roster.mark(AccountId("a"))
    assert accounts.roster.mark(AccountId("a")) == before
    accounts.states[AccountId("a")].in_flight = 1
    assert accounts.roster.mark(AccountId("a")) != before
    assert accounts.roster.mark(AccountId("gone")) == ()


async def test_others_get_their_turn_while_many_are_looked_through():
    """Streams are served between the slices."""
    accounts = Accounts(*(str(number) for number in range(module.SLICE * 4)))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await module.asyncio.sleep(0)

    task = module.asyncio.ensure_future(other())
    await accounts.roster.page(AccountQuery(), offset=0, limit=10)
    task.cancel()
    assert turns >= 4
