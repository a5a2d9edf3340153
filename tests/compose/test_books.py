"""Tests of app.compose.books."""

import asyncio
import errno

import pytest
from msgspec import structs

from app.allowance.budget import Period, began_at
from app.clock import SystemClock
from app.compose import books as books_module
from app.compose import gateway
from app.compose.books import Books
from app.domain.caller import Allowance, KeyId
from app.domain.price import Price
from app.domain.report import Wanted
from app.domain.runtime import RuntimeSettings
from app.errors import StateError
from app.store.retention import Swept
from app.store.store import Store
from app.usage.mover import Mover
from app.usage.segments import Segment
from tests.usage.records import answered, attempted

CLOCK = SystemClock()
BUDGET = Allowance(day_nusd=10**9, month_nusd=10**10)


def spent(opened, key_id: str, *, cost_nusd: int, uid: str = "u1") -> None:
    """Write a call down that cost so much."""
    now = opened.clock.now()
    append = opened.books.journal.append
    append(attempted(uid, at=now, caller_id=key_id, cost_nusd=cost_nusd))
    append(answered(uid, at=now, caller_id=key_id))


async def uids(store: Store) -> list[str]:
    """Return the calls that stand in the log."""
    return sorted(row.uid for row in (await store.request_log.page(Wanted())).requests)


async def test_what_a_call_cost_reaches_the_database(settings):
    """While the gateway runs, and at the latest when it ends."""
    async with gateway(settings) as opened:
        spent(opened, "k", cost_nusd=7)
        while opened.books.state().depth:  # noqa: ASYNC110 - the mover tells nobody
            await asyncio.sleep(0.01)
        spent(opened, "k", cost_nusd=5, uid="u2")
    async with Store.open(settings) as store:
        now = CLOCK.now()
        assert (await store.reports.spending(now, month_start=now - 99 * 86_400))[
            "k"
        ].month_nusd == 12


async def test_a_journal_of_another_database_is_not_moved(settings, tmp_path):
    """A data directory that was given to another database is refused at the start."""
    async with gateway(settings):
        pass
    other = structs.replace(settings, database_path=tmp_path / "other" / "o.db")
    with pytest.raises(StateError, match="belongs to another database"):
        async with gateway(other):
            pass
    async with gateway(settings):
        pass


def elsewhere(opened, key_id, period: Period) -> int:
    """Return what the books know that a key has spent, but not here."""
    began = began_at(period, now=opened.clock.now())
    return opened.books.allowance._elsewhere[key_id].spent(period, began_at=began)


async def test_a_budget_remembers_what_was_spent_before_a_crash(settings):
    """Also what only the journal of the worker that died knows."""
    async with Store.open(settings) as store:
        made = await store.keys.create(name="k", at=1.0, allowance=BUDGET)
        dead = Books(settings, store, CLOCK)
        dead.journal.open()
        now = CLOCK.now()
        dead.journal.append(attempted(at=now, caller_id=made.caller.id, cost_nusd=400))
        dead.journal.append(answered(at=now, caller_id=made.caller.id))
        dead.journal.folder.release()
    async with gateway(settings) as opened:
        assert elsewhere(opened, made.caller.id, Period.DAY) == 400
        assert elsewhere(opened, made.caller.id, Period.MONTH) == 400


async def test_a_key_that_gets_a_budget_later_knows_what_it_has_spent(settings):
    """And one that loses its limits is forgotten, so that it is looked up anew next time."""
    async with gateway(settings) as opened:
        store, books = opened.store, opened.books
        made = await store.keys.create(name="k", at=1.0)
        await opened.reload()  # now, and not by itself in the middle of what follows
        spent(opened, made.caller.id, cost_nusd=300)
        await books.mover.flush()
        limited = structs.replace(made.caller, allowance=BUDGET)
        await books.learn([limited], RuntimeSettings())
        assert elsewhere(opened, made.caller.id, Period.MONTH) == 300
        spent(opened, made.caller.id, cost_nusd=1, uid="u2")
        await books.mover.flush()
        await books.learn([limited], RuntimeSettings())
        assert elsewhere(opened, made.caller.id, Period.MONTH) == 300
        await books.recount()
        assert elsewhere(opened, made.caller.id, Period.MONTH) == 301
        await books.learn([made.caller], RuntimeSettings())
        await books.learn([limited], RuntimeSettings())
        assert elsewhere(opened, made.caller.id, Period.MONTH) == 301
        await books.learn([made.caller], RuntimeSettings())
        await books.recount()
        assert made.caller.id not in books.allowance._elsewhere


async def test_prices_are_taken_over_and_kept(settings):
    """Each table once, under the version that costs are stored with."""
    async with gateway(settings) as opened:
        first = opened.books.accountant.prices
        assert await opened.store.prices.find(first.version) == first.document.decode()
        price = Price(input_usd_per_mtok=3, output_usd_per_mtok=4)
        chosen = RuntimeSettings(prices={"gpt-9": price})
        await opened.store.settings.save(chosen, at=opened.clock.now())
        await opened.reload()
        table = opened.books.accountant.prices
        assert table.rate("gpt-9").input == 3_000
        assert table.version != first.version
        assert await opened.store.prices.find(table.version) == table.document.decode()


async def test_old_rows_go_by_themselves(settings, monkeypatch):
    """Those of single requests after the days that the operator has chosen; their sums stay."""
    monkeypatch.setattr(books_module, "SWEEP_S", 0.01)
    async with gateway(settings) as opened:
        store, old = opened.store, opened.clock.now() - 3 * 86_400
        append = opened.books.journal.append
        append(attempted("old", at=old))
        append(answered("old", at=old))
        spent(opened, "k", cost_nusd=1, uid="new")
        await opened.books.mover.flush()
        assert await uids(store) == ["new", "old"]
        await store.settings.save(RuntimeSettings(log_days=2), at=opened.clock.now())
        while await uids(store) != ["new"]:  # noqa: ASYNC110 - the sweep tells nobody
            await asyncio.sleep(0.01)
        assert len(await store.reports.spending(opened.clock.now(), month_start=0)) == 2


@pytest.mark.parametrize(("complete", "wait_s"), [(True, 600.0), (False, 5.0)])
async def test_a_sweep_that_left_rows_over_is_soon_followed(
    settings, monkeypatch, complete, wait_s
):
    """And one that the database did not take is tried again; nothing is ever waited for."""
    answers = [StateError("away"), Swept({"requests": 1}, complete)]
    waits = []

    class Sweeps:
        async def sweep(self, *_args, **_kwargs):
            answer = answers.pop(0)
            if isinstance(answer, StateError):
                raise answer
            return answer

    async def slept(seconds):
        waits.append(seconds)
        if not answers:
            raise asyncio.CancelledError

    async with Store.open(settings) as store:
        monkeypatch.setattr(store, "retention", lambda **_: Sweeps())
        monkeypatch.setattr(books_module.asyncio, "sleep", slept)
        with pytest.raises(asyncio.CancelledError):
            await Books(settings, store, CLOCK).tidy()
        monkeypatch.undo()
    assert waits == [600.0, wait_s]


async def test_the_state_of_the_journal_is_told(settings, monkeypatch):
    """How much is to be moved, and for how long it has been."""
    async with gateway(settings) as opened:
        books = opened.books
        assert (books.state().depth, books.state().healthy) == (0, True)

        async def away(_self) -> None:
            raise StateError("away")

        monkeypatch.setattr(Mover, "flush", away)
        spent(opened, "k", cost_nusd=1)
        assert books.state().depth == 2
        monkeypatch.undo()
        await books.mover.flush()
        state = books.state()
        assert (state.depth, state.age_s, state.lost, state.refused) == (0, 0.0, 0, 0)


async def test_a_gateway_without_room_for_a_journal_does_not_start(settings, monkeypatch):
    """It could account for nothing."""

    def full(*_args, **_kwargs) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Segment, "__init__", full)
    with pytest.raises(StateError, match="no room for a journal: No space left"):
        async with gateway(settings):
            pass


async def test_a_database_that_is_away_at_the_end_keeps_nobody(settings, monkeypatch):
    """The next worker moves what is left."""
    async with gateway(settings) as opened:

        async def away(_self) -> None:
            raise StateError("away")

        monkeypatch.setattr(Mover, "flush", away)
        spent(opened, "k", cost_nusd=9)
    monkeypatch.undo()
    async with gateway(settings) as opened:
        now = opened.clock.now()
        spending = await opened.store.reports.spending(now, month_start=now - 99 * 86_400)
        assert spending[KeyId("k")].month_nusd == 9
