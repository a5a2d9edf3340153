"""Keeps one caller company while its answer comes, and notices when there is nobody any more.

Rule 1: a stream is never silent for long: `_keep_alive` whenever nothing else went out for
        `keepalive_s`, and once before the first bytes.
Rule 2: a caller that leaves, or that takes no byte for `send_timeout_s`, ends its call at once:
        the task that made this object is cancelled, with `gone` set. One that leaves a call for
        which there is `patience` ends it only after that; nothing is written any more.
Rule 3: a call that is interrupted ends with the error that it is interrupted with: its task is
        cancelled, with `cut` set.

What is written, and how, is for whoever derives from this.
"""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from app.errors import GatewayError

Headers = list[tuple[bytes, bytes]]


class Pace(Struct, frozen=True):
    """How long a stream may be silent, and how long a caller may not read; seconds."""

    commit_after_s: float
    keepalive_s: float
    send_timeout_s: float


class Company:
    """The watch over one way back to a caller. `close` it, whatever happens."""

    __slots__ = (
        "_beat",
        "_loop",
        "_pace",
        "_pulse",
        "_sending_since",
        "_task",
        "_wrote_at",
        "cut",
        "ended",
        "gone",
        "headers",
        "patience",
        "started",
        "status",
        "stayed",
    )

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.headers: Headers = []
        """Go out with every head; may grow until then."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._beat: asyncio.TimerHandle | None = None
        self._pulse: asyncio.Task[None] | None = None
        self._sending_since = 0.0
        self._wrote_at = 0.0
        self.ended = False
        """The end has gone out."""
        self.started = False
        """The head has gone out: the status can't be changed any more."""
        self.status = 0
        self.gone = False
        """The caller has left, or might as well have."""
        self.cut: GatewayError | None = None
        """Why the call was interrupted."""
        self.patience: Callable[[], float] = float
        """Asked when the caller leaves: for how many seconds its call goes on all the same."""
        self.stayed = False
        """The caller has left, and the call went on."""

    def expect_stream(self) -> None:
        """Keep the caller company from now on, until a stream begins or an error is known."""
        self._beat = self._loop.call_later(self._pace.commit_after_s, self._tick)

    async def quiet(self) -> None:
        """Return once nothing is going out that fills a silence: a head may go out with it."""
        if self._pulse is not None:
            await self._pulse
            self._pulse = None

    async def close(self) -> None:
        """Let go of timers. The connection is the server's."""
        self.ended = True
        if self._beat is not None:
            self._beat.cancel()
        if self._pulse is not None:
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)

    def left(self) -> None:
        """Take note that the caller has left."""
        if self.ended or self.gone:
            return
        patience_s = self.patience()
        if not patience_s:
            self._give_up()
            return
        self.gone = self.stayed = True
        if self._beat is not None:
            self._beat.cancel()
        self._beat = self._loop.call_later(patience_s, self._cancel)

    def interrupt(self, error: GatewayError) -> None:
        """End the call with an error; the first one counts."""
        if not self.ended and not self.gone and self.cut is None:
            self.cut = error
            self._cancel()

    async def _keep_alive(self) -> None:
        """Say something that means nothing."""
        raise NotImplementedError

    def _tick(self) -> None:
        """Look whether the silence has lasted too long; one timer a stream, rarely ringing."""
        now, pace = self._loop.time(), self._pace
        if self._sending_since:
            due_s = self._sending_since + pace.send_timeout_s - now
            if due_s <= 0:
                self._give_up()
                return
        elif self.ended:
            return
        else:
            due_s = self._wrote_at + pace.keepalive_s - now
            if not self.started or due_s <= 0:
                self._wrote_at = now
                self._pulse = self._loop.create_task(self._keep_alive())
                due_s = pace.keepalive_s
        self._beat = self._loop.call_later(due_s, self._tick)

    def _give_up(self) -> None:
        if self.gone:
            return
        self.gone = True
        self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
