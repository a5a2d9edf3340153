"""A scripted upstream: what each account answers, step by step, and what was asked of it."""

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from app.domain.account import Account
from app.domain.call import Call
from app.ports import UpstreamFailure

Step = bytes | float | Exception
"""A piece of a body, a wait in seconds, or how it breaks."""
HANG = 1e9
"""A wait that nobody outlasts."""
SSE = ("content-type", "text/event-stream")


class Answer(Struct):
    """One reply: its head, after a while, and the steps of its body; its end is a proper one."""

    steps: list[Step] = field(default_factory=list)
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=lambda: [SSE])
    after_s: float = 0.0
    messages: bool = False
    """Each piece is one event's data, as over a socket."""


class FakeReply:
    """Satisfies `app.ports.UpstreamReply`."""

    pushing = False
    """Whether replies can be listened to, as those that come over a connection of ours."""
    retold = None
    feed: "FakeFeed | None" = None

    def __init__(self, name: str, answer: Answer, log: list[str]) -> None:
        self._name = name
        self._steps = list(answer.steps)
        self._log = log
        self.status = answer.status
        self.headers = answer.headers
        self.messages = answer.messages
        if self.pushing and not answer.messages:
            self.feed = FakeFeed(self._steps)

    async def read(self) -> bytes | None:
        """Take the next step."""
        if self.feed is not None and (come := self.feed.take()):
            return come
        while self._steps:
            step = self._steps.pop(0)
            if isinstance(step, Exception):
                raise step
            if isinstance(step, bytes):
                return step
            await asyncio.sleep(step)
        return None

    async def finish(self) -> None:
        """Note it."""
        self._log.append(f"{self._name} finished")

    async def abort(self) -> None:
        """Note it; letting go takes a turn of the loop."""
        self._log.append(f"{self._name} aborted")
        await asyncio.sleep(0)


class FakeFeed:
    """Satisfies `app.ports.Feed`: tells of each step when its time has come."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps
        self._come = b""
        self._over = False
        self._coming: asyncio.Task[None] | None = None

    def listen(self, told: Callable[[], None] | None) -> None:
        """Let steps come as long as somebody is told of them."""
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None
        if told is not None:
            self._coming = asyncio.create_task(self._come_on(told))

    def take(self) -> bytes | None:
        """Return what has come."""
        come, self._come = self._come, b""
        return come or (None if self._over else b"")

    async def _come_on(self, told: Callable[[], None]) -> None:
        steps = self._steps
        while steps and not isinstance(steps[0], Exception):
            if isinstance(steps[0], bytes):
                self._come += steps.pop(0)
                told()
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(steps[0])
                steps.pop(0)
        self._over = True
        told()


class FakeUpstream:
    """Satisfies `app.ports.Upstream`; each account's answers are given in their order."""

    def __init__(self, **scripts: list[Any]) -> None:
        self.scripts = scripts
        self.log: list[str] = []
        self.calls: list[tuple[Account, Call]] = []

    async def send(self, account: Account, call: Call) -> FakeReply:
        """Give the account's next answer, or raise it."""
        self.log.append(f"{account.id} asked")
        self.calls.append((account, call))
        answer = self.scripts[account.id].pop(0)
        if isinstance(answer, Exception):
            raise answer
        await asyncio.sleep(answer.after_s)
        return FakeReply(account.id, answer, self.log)


def broken(*, sent: bool = True, route: bool = False) -> UpstreamFailure:
    """Return a transport's failure."""
    return UpstreamFailure("connection reset", sent=sent, route=route)
