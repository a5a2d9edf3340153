"""Tests of app.store.ledger."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec import structs
from msgspec.structs import replace

from app.domain.usage import Usage
from app.errors import StateError
from app.ports import Ledger, RowRefused
from app.settings import Limits, Settings
from app.store.ledger import StoredLedger
from app.store.store import Store
from app.store.tables import attempts as attempts_table
from app.store.tables import requests as requests_table
from tests.store.behind import everything, execute
from tests.store.calls import ATTEMPT, NOON, REQUEST, StillClock, attempt, request

TWICE = Usage(200, 80, 10, 40, 16)


@pytest.fixture
def ledger(store: Store) -> StoredLedger:
    """The ledger of an empty store."""
    return store.ledger(StillClock())


async def sums(settings: Settings, table: str = "usage_hours") -> list[tuple[object, ...]]:
    """Return requests, attempts, tokens and cost of all rows of a table of sums."""
    columns = ("requests", "attempts", "input", "output", "cost_nusd")
    chosen = ", ".join(f"sum({column})" for column in columns)
    return await execute(settings, f"SELECT {chosen} FROM {table}")  # noqa: S608 - our own names


async def counted(settings: Settings) -> tuple[object, ...]:
    """Return how many attempts and requests there are."""
    query = "SELECT (SELECT count(*) FROM attempts), (SELECT count(*) FROM requests)"
    return (await execute(settings, query))[0]


async def test_it_is_what_the_mover_needs(ledger: StoredLedger) -> None:
    """The store satisfies the port; the type checker sees it here."""
    port: Ledger = ledger
    assert await port.positions(["unknown"]) == {}


async def test_rows_and_their_place_are_taken_together(
    store: Store, ledger: StoredLedger, settings: Settings
) -> None:
    """What comes back is what was given, and the place is remembered."""
    await ledger.take([ATTEMPT], [REQUEST], segment="w/1", offset=77)
    assert await ledger.positions(["w/1", "w/2"]) == {"w/1": 77}
    detail = await store.request_log.request(REQUEST.uid)
    assert detail is not None
    assert (detail.request, detail.attempts) == (REQUEST, [ATTEMPT])
    assert await sums(settings) == [(1, 1, 100, 20, 1_234_567)]
    assert await execute(settings, "SELECT done_at FROM journal_positions") == [(NOON,)]


async def test_a_batch_that_is_offered_again_changes_nothing(
    ledger: StoredLedger, settings: Settings
) -> None:
    """Its worker died after the commit and before it knew."""
    await ledger.take([ATTEMPT], [REQUEST], segment="w/1", offset=77)
    before = await everything(settings)
    await ledger.take([ATTEMPT], [REQUEST], segment="w/1", offset=77)
    await ledger.take([attempt(2)], [request(2)], segment="w/1", offset=76)
    assert await everything(settings) == before


async def test_rows_that_are_there_stay_and_are_counted_once(
    ledger: StoredLedger, settings: Settings
) -> None:
    """Even where a place was lost, no sum grows by a row that it has."""
    await ledger.take([ATTEMPT], [REQUEST], segment="w/1", offset=1)
    changed = replace(ATTEMPT, cost_nusd=5, outcome="failed")
    rows = [changed, attempt(2), attempt(2, cost_nusd=9)]
    await ledger.take(rows, [REQUEST, request(2)], segment="w/2", offset=1)
    assert await counted(settings) == (2, 2)
    assert await sums(settings) == [(2, 2, 200, 40, 2 * 1_234_567)]
    kept = "SELECT outcome FROM attempts ORDER BY uid"
    assert await execute(settings, kept) == [("succeeded",), ("succeeded",)]


async def test_attempts_and_requests_may_come_apart(
    ledger: StoredLedger, settings: Settings
) -> None:
    """A request is over after its attempts, often in a later batch."""
    second = replace(ATTEMPT, number=2, account_id="account-b")
    await ledger.take([ATTEMPT], [], segment="w/1", offset=1)
    await ledger.take([second], [], segment="w/1", offset=2)
    whole = replace(REQUEST, attempts=2, usage=TWICE, account_id="account-b")
    await ledger.take([], [whole], segment="w/1", offset=3)
    await ledger.take([], [], segment="w/1", offset=4)
    assert await counted(settings) == (2, 1)
    for table in ("usage_hours", "usage_days"):
        assert await sums(settings, table) == [(1, 2, 200, 40, 2 * 1_234_567)]
    totals = "SELECT requests, attempts FROM day_totals WHERE dimension = '' AND id = ''"
    assert await execute(settings, totals) == [(1, 2)]
    assert await ledger.positions(["w/1"]) == {"w/1": 4}


async def test_errors_are_counted_by_code(ledger: StoredLedger, settings: Settings) -> None:
    """So that a page of them reads no request."""
    rows = [request(n, code=code) for n, code in enumerate(["ok", "pool_busy", "pool_busy"])]
    await ledger.take([], rows, segment="w/1", offset=1)
    await ledger.take([], [request(9, code="pool_busy")], segment="w/1", offset=2)
    assert await execute(settings, "SELECT start, code, requests FROM error_hours") == [
        (NOON, "pool_busy", 3)
    ]


@pytest.mark.parametrize(
    ("attempts", "requests"),
    [
        ([attempt(2, code="a\0b")], []),
        ([], [request(2, request_id="\0")]),
        ([], [request(2, asked_model="\ud800")]),
        ([attempt(2, model="m" * 300)], []),
        ([attempt(2, usage=Usage(output=-1))], []),
        ([attempt(2, cost_nusd=1 << 70)], []),
        ([], [request(2, seconds=float("nan"))]),
        ([], [request(2, status=None)]),
    ],
    ids=["nul", "nul in id", "surrogate", "long", "negative", "huge", "nan", "missing"],
)
async def test_a_poisoned_row_is_refused_with_its_batch(
    ledger: StoredLedger, settings: Settings, attempts: Sequence, requests: Sequence
) -> None:
    """Nothing of the batch is there, neither is its place; without the row it is taken."""
    good_attempts, good_requests = [ATTEMPT], [REQUEST]
    with pytest.raises(RowRefused):
        await ledger.take(
            [*good_attempts, *attempts], [*good_requests, *requests], segment="w/1", offset=5
        )
    assert await counted(settings) == (0, 0)
    assert await sums(settings) == [(None,) * 5]
    assert await ledger.positions(["w/1"]) == {}
    with pytest.raises(RowRefused):
        await ledger.check(attempts, requests)
    await ledger.take(good_attempts, good_requests, segment="w/1", offset=5)
    assert await counted(settings) == (1, 1)


async def test_what_the_database_alone_refuses_is_a_refused_row_too(
    ledger: StoredLedger, settings: Settings
) -> None:
    """A rule that only the database knows; its words are the reason, without quoting rows."""
    await execute(settings, "CREATE UNIQUE INDEX one_model ON requests (model)")
    with pytest.raises(RowRefused) as caught:
        await ledger.take([], [request(1), request(2)], segment="w/1", offset=1)
    assert "\n" not in str(caught.value)
    assert await counted(settings) == (0, 0)


async def test_trying_a_row_leaves_no_trace(ledger: StoredLedger, settings: Settings) -> None:
    """It is judged as it would be taken, and can still be taken afterwards."""
    before = await everything(settings)
    await ledger.check([ATTEMPT], [REQUEST])
    await ledger.check([], [])
    assert await everything(settings) == before
    await ledger.take([ATTEMPT], [REQUEST], segment="w/1", offset=1)
    assert await counted(settings) == (1, 1)


async def test_places_are_forgotten(ledger: StoredLedger) -> None:
    """Those that are named, and no others; once more does no harm."""
    for segment in ("w/1", "w/2", "w/3"):
        await ledger.take([], [], segment=segment, offset=1)
    for _ in range(2):
        await ledger.forget(["w/1", "w/2"])
    await ledger.forget([])
    assert await ledger.positions(["w/1", "w/2", "w/3"]) == {"w/3": 1}
    assert await ledger.positions([]) == {}


async def test_a_database_at_fault_is_no_poisoned_row(
    ledger: StoredLedger, settings: Settings
) -> None:
    """A table that is missing is a reason to wait, not to throw rows away."""
    await execute(settings, "DROP TABLE usage_days")
    with pytest.raises(StateError):
        await ledger.take([ATTEMPT], [REQUEST], segment="w/1", offset=1)
    with pytest.raises(StateError):
        await ledger.check([ATTEMPT], [REQUEST])
    assert await counted(settings) == (0, 0)
    assert await ledger.positions(["w/1"]) == {}


async def test_two_workers_that_move_one_segment_take_it_once(settings: Settings) -> None:
    """Both adopted it, and both got so far; one of them finds the other's place."""
    batches = [
        ([attempt(n) for n in range(20 * b, 20 * b + 20)],
         [request(n) for n in range(20 * b, 20 * b + 20)])
        for b in range(4)
    ]  # fmt: skip

    async def move(store: Store) -> None:
        mine = store.ledger(StillClock())
        for number, (attempts, requests) in enumerate(batches, start=1):
            await mine.take(attempts, requests, segment="w/1", offset=number)

    patient = structs.replace(settings, limits=Limits())
    async with Store.open(patient) as one, Store.open(patient) as two:
        await asyncio.gather(move(one), move(two))
    assert await counted(settings) == (80, 80)
    assert await sums(settings) == [(80, 80, 8_000, 1_600, 80 * 1_234_567)]


async def test_workers_that_add_to_the_same_sums_lose_nothing(settings: Settings) -> None:
    """Each has its own segment, and all their calls belong to the same keys and models."""

    async def move(store: Store, worker: int) -> None:
        mine = store.ledger(StillClock())
        for number in range(5):
            rows = [
                attempt(1_000 * worker + 10 * number + n, caller_id=f"key-{n % 3}")
                for n in range(10)
            ]
            order = rows if worker % 2 else rows[::-1]
            await mine.take(order, [], segment=f"{worker}/1", offset=number + 1)

    # On Postgres each has a connection of its own, and they meet in the rows of the sums.
    async with Store.open(settings) as store:
        await asyncio.gather(*(move(store, worker) for worker in range(4)))
    for table in ("usage_hours", "usage_days"):
        assert await sums(settings, table) == [(0, 200, 20_000, 4_000, 200 * 1_234_567)]


def test_the_tables_of_calls_have_no_more_than_their_pages_need() -> None:
    """Each index makes every row dearer: one by age, one by caller, one by account."""
    names = {index.name for table in (requests_table, attempts_table) for index in table.indexes}
    assert names == {
        "requests_by_age",
        "requests_by_caller",
        "requests_by_account",
        "attempts_by_age",
        "attempts_by_account",
    }
