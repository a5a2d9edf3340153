"""`/api/admin/events`: live state as one stream of server-sent events.

    event: numbers     Numbers            at most once a second
    event: accounts    ChangedAccounts    those that have changed since
    event: requests    LatestRequests     those that this worker has answered since
    event: revision    StoreRevision      read again what was read of the store

What is told is of the worker that answers. Nothing is replayed: after a gap, read again.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency as Given
from litestar.openapi import ResponseSpec
from litestar.response import Stream
from msgspec import Struct

from app.admin.access import Access
from app.admin.live import ChangedAccounts, LatestRequests, LiveEvent, LiveFeed, StoreRevision
from app.admin.overview import Numbers
from app.domain.account import Secret
from app.domain.admin import Actor
from app.ports import Clock

EVENT_STREAM: Final = "text/event-stream"
CHECKED_EVERY_S: Final = 30.0


class LiveEvents(Struct, frozen=True):
    """What comes as `data` of the event of that name; each event has one of them."""

    numbers: Numbers
    accounts: ChangedAccounts
    requests: LatestRequests
    revision: StoreRevision


class EventsController(Controller):
    """Live state."""

    tags = ("events",)

    @get(
        "/events",
        media_type=EVENT_STREAM,
        responses={
            200: ResponseSpec(
                LiveEvents,
                generate_examples=False,
                description="Events",
                media_type=EVENT_STREAM,
            )
        },
    )
    async def events(
        self,
        live: Given[LiveFeed],
        access: Given[Access],
        actor: Given[Actor],
        cookie: Given[Secret | None],
        clock: Given[Clock],
    ) -> Stream:
        """Stream live state until the session or the worker ends."""
        stream = _sse(live, _Admitted(access, actor, cookie, clock))
        return Stream(stream, media_type=EVENT_STREAM, headers={"x-accel-buffering": "no"})


class _Admitted:
    """Whether whoever watches may watch on: looked up now and then."""

    def __init__(self, access: Access, actor: Actor, cookie: Secret | None, clock: Clock) -> None:
        self._access = access
        self._cookie = cookie if actor.session is not None else None
        self._clock = clock
        self._checked_at = clock.monotonic()

    async def still(self) -> bool:
        now = self._clock.monotonic()
        if self._cookie is None or now - self._checked_at < CHECKED_EVERY_S:
            return True
        self._checked_at = now
        return await self._access.alive(self._cookie)


async def _sse(live: LiveFeed, admitted: _Admitted) -> AsyncIterator[bytes]:
    yield b": watching\n\n"
    async with aclosing(live.watch()) as events:
        async for event in events:
            if not await admitted.still():
                return
            yield _said(event)


def _said(event: LiveEvent) -> bytes:
    if event.data is None:
        return b": \n\n"
    return b"event: %s\ndata: %s\n\n" % (event.name.encode(), msgspec.json.encode(event.data))
