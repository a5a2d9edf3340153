"""A stretch of a reply in which every event is handed on by whoever has received it.

No task is woken for an event that comes and can be sent on at once, which is nearly all of them.
Everything else ends the stretch and is left to the task that waits for it: the end of the body, a
failure, and a caller for whom has to be waited.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import Generic, Protocol, TypeVar

from app.ports import Feed

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)


class Source(Protocol[B_co]):
    """Who makes events of what comes."""

    ended: bool
    """The last of them has been made."""

    def digested(self, piece: bytes) -> B_co | None:
        """Return the events that a piece completes, if it completes any."""


class Course(Generic[B]):
    """Runs once."""

    __slots__ = ("_done", "_feed", "_source", "_take", "error")

    def __init__(
        self, source: Source[B], feed: Feed, take: Callable[[B], Awaitable[None] | None]
    ) -> None:
        """Let `take` have what `source` makes of what comes through `feed`."""
        self._source = source
        self._feed = feed
        self._take = take
        self._done: asyncio.Future[Awaitable[None] | None] = (
            asyncio.get_running_loop().create_future()
        )
        self.error: Exception | None = None
        """What `take` has raised, which is no fault of the upstream's."""

    async def run(self) -> Awaitable[None] | None:
        """Return what has to be waited for before more is taken; None if that is nothing.

        Raises:
            UpstreamProtocolError: What came can't be read.
        """
        # Whoever receives may have been made by another call, in whose name nothing is logged.
        self._feed.listen(partial(copy_context().run, self._step))
        try:
            self._step()
            return await self._done
        finally:
            self._feed.listen(None)

    def _step(self) -> None:
        # Until there is nothing: the end may have come with the last piece, and is told once.
        while not self._done.done():
            try:
                piece = self._feed.take()
                batch = self._source.digested(piece) if piece else None
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                self._done.set_exception(error)
                return
            if batch is not None:
                try:
                    pending = self._take(batch)
                except Exception as error:  # noqa: BLE001 - likewise
                    self.error = error
                    self._done.set_result(None)
                    return
                if pending is not None or self._source.ended:
                    self._done.set_result(pending)
                    return
            elif piece is None:
                self._done.set_result(None)
                return
            elif not piece:
                return
