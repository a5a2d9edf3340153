"""Tests of app.admin.live."""

import asyncio
from contextlib import aclosing

import pytest

from app.admin import live
from app.admin.live import ACCOUNTS_MAX, REQUESTS_MAX, WATCHERS_MAX, LiveFeed, Watcher
from app.domain.account import AccountId
from app.domain.ledger import Answered
from app.errors import TooManyRequests
from tests.admin.vitals import Parts


def answered(number: int) -> Answered:
    """Return a request that was answered."""
    return Answered(
        f"u{number}", 1.0, f"r{number}", "k", "chat", "m", "m", False, 200, "ok", 1, 0.0, None,
        0.5, None,
    )  # fmt: skip


class Show:
    """A feed with what is behind it."""

    def __init__(self, *names: str) -> None:
        self.parts = Parts(*names)
        self.records: list[Answered] = []
        self.feed = LiveFeed(
            overview=self.parts.overview,
            roster=self.parts.accounts.roster,
            answered=lambda: (len(self.records), self.records[-REQUESTS_MAX:]),
        )


async def test_who_watches_is_told_what_changes():
    """Numbers each time, the rest when there is something."""
    show = Show("a", "b")
    async with aclosing(show.feed.watch()) as events:
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await show.feed.look()
        assert (await first).name == "numbers"
        show.parts.accounts.states[AccountId("b")].in_flight = 2
        show.records += [answered(1), answered(2)]
        show.parts.values["revision"] = 8
        await show.feed.look()
        found = [await anext(events) for _ in range(4)]
    assert [each.name for each in found] == ["revision", "numbers", "accounts", "requests"]
    assert found[0].data.revision == 8
    assert [row.id for row in found[2].data.rows] == ["b"]
    assert [row.request_id for row in found[3].data.rows] == ["r1", "r2"]
    assert len(show.feed) == 0


async def test_nothing_is_looked_at_while_nobody_watches():
    """Watching costs those who watch."""
    show = Show("a")
    running = asyncio.ensure_future(show.feed.run())
    await asyncio.sleep(0.01)
    assert show.parts.asked == 0
    async with aclosing(show.feed.watch()) as events:
        assert (await anext(events)).name == "numbers"
    running.cancel()
    assert show.parts.asked == 1


async def test_who_comes_back_within_a_tick_is_told_at_once():
    """A page that is opened anew does not wait for the next look; nothing is looked at twice."""
    show = Show("a")
    running = asyncio.ensure_future(show.feed.run())
    async with aclosing(show.feed.watch()) as events:
        first = await anext(events)
    async with aclosing(show.feed.watch()) as events:
        again = await anext(events)
    running.cancel()
    assert again.data is first.data
    assert show.parts.asked == 1


async def test_what_was_seen_is_forgotten_once_nobody_watches(monkeypatch):
    """Whoever comes later is told of then."""
    monkeypatch.setattr(live, "TICK_S", 0.0)
    show = Show("a")
    running = asyncio.ensure_future(show.feed.run())
    async with aclosing(show.feed.watch()) as events:
        first = await anext(events)
    for _ in range(3):
        await asyncio.sleep(0)
    async with aclosing(show.feed.watch()) as events:
        later = await anext(events)
    running.cancel()
    assert later.data is not first.data


async def test_a_drain_ends_all_streams():
    """A worker that goes away does not wait for those who watch."""
    show = Show()
    running = asyncio.ensure_future(show.feed.run())
    show.parts.values["draining"] = True
    async with asyncio.timeout(10):
        assert [each.name async for each in show.feed.watch()] == ["numbers"]
    running.cancel()


async def test_only_so_many_watch():
    """The next one is told to come back."""
    show = Show()
    show.feed._watchers = {Watcher() for _ in range(WATCHERS_MAX)}
    with pytest.raises(TooManyRequests):
        await anext(show.feed.watch())


async def test_a_slow_watcher_gets_what_is_newest_and_no_more():
    """What waits for it is bounded."""
    show = Show(*(f"{number:04}" for number in range(ACCOUNTS_MAX + 50)))
    watcher = Watcher()
    for _ in range(3):
        numbers = await show.parts.overview.numbers()
        watcher.numbers = numbers
        rows = [show.parts.accounts.roster.row(each) for each in show.parts.accounts.stored]
        watcher.change(rows, more=False)
        watcher.answered([answered(number) for number in range(REQUESTS_MAX - 10)])
    names = {event.name: event.data for event in watcher.take()}
    assert names["numbers"] is numbers
    assert (len(names["accounts"].rows), names["accounts"].more) == (ACCOUNTS_MAX, True)
    assert len(names["requests"].rows) == REQUESTS_MAX
    assert names["requests"].missed == 3 * (REQUESTS_MAX - 10) - REQUESTS_MAX
    (nothing,) = watcher.take()
    assert nothing.data is None


async def test_many_changes_are_told_in_part():
    """And that there were more."""
    show = Show(*(f"{number:04}" for number in range(ACCOUNTS_MAX + 50)))
    rows, more = await show.feed._changed()
    assert (len(rows), more) == (ACCOUNTS_MAX, True)
    assert await show.feed._changed() == ([], False)
    del show.parts.accounts.stored[AccountId("0000")]
    await show.feed._changed()
    assert AccountId("0000") not in show.feed._marks
