"""A scripted upstream: what each account answers, step by step, and what was asked of it."""

import asyncio
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

    retold = None

    def __init__(self, name: str, answer: Answer, log: list[str]) -> None:
        self._name = name
        self._steps = list(answer.steps)
        self._log = log
        self.status = answer.status
        self.headers = answer.headers
        self.messages = answer.messages

    async def read(self) -> bytes | None:
        """Take the next step."""
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
