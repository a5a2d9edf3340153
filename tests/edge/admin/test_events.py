"""Tests of app.edge.admin.events."""

import asyncio

import msgspec
import pytest

from app.edge.admin import events


async def collected(stream, count: int) -> list[bytes]:
    """Return the first so many pieces."""
    return [await anext(stream) for _ in range(count)]


class Admitted:
    """Says that whoever watches may watch on, so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    async def still(self) -> bool:
        """Tell whether it may."""
        self.left -= 1
        return self.left >= 0


async def test_live_state_comes_as_events(opened):
    """Numbers first; the stream ends once the session has."""
    live = opened.admin_parts.live
    stream = events._sse(live, Admitted(1))
    assert await anext(stream) == b": watching\n\n"
    async with asyncio.timeout(30):
        pieces = [piece async for piece in stream]
    head, data = pieces[0].split(b"\ndata: ", 1)
    assert head == b"event: numbers"
    assert msgspec.json.decode(data)["store_up"] is True
    assert len(live) == 0


async def test_a_drain_ends_the_stream(opened):
    """Nobody who watches holds the worker up."""
    opened.in_flight.drain()
    async with asyncio.timeout(30):
        stream = events._sse(opened.admin_parts.live, Admitted(1_000))
        assert [piece async for piece in stream][-1].startswith(b"event: numbers")


async def test_a_session_that_has_ended_is_noticed(opened, monkeypatch):
    """Now and then it is looked up."""
    parts = opened.admin_parts
    monkeypatch.setattr(events, "CHECKED_EVERY_S", 0.0)
    made = await parts.access._open("192.0.2.1", "tests")
    actor = events.Actor("session", "192.0.2.1", "id", made.session)
    admitted = events._Admitted(parts.access, actor, made.cookie, parts.clock)
    assert await admitted.still()
    await parts.access.end(made.session.digest)
    assert not await admitted.still()


async def test_a_stranger_watches_nothing(browser):
    """Not even for a moment."""
    assert (await browser().get("events")).status_code == 401


@pytest.mark.parametrize("name", ["numbers", "accounts", "requests", "revision"])
def test_the_document_tells_each_event(name):
    """As a field of `LiveEvents`."""
    assert name in events.LiveEvents.__struct_fields__
