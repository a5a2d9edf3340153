"""Tests of app.relay.tunnel."""

import asyncio
import json
from typing import Any

import pytest

from app.domain.account import AccountKind
from app.domain.needs import Need
from app.domain.outcome import Abandoned, Broken, Outcome, RateLimited, Succeeded
from app.domain.usage import Usage
from app.errors import CapacityError, GatewayError, NotSupportedByUpstream
from app.ports import PipeRefused, UpstreamFailure
from app.relay.tunnel import Tunnel, Tunnels
from tests.fakes.accounts import account, call
from tests.fakes.clock import FakeClock
from tests.relay.scene import Scene

REALTIME = {"needs": frozenset({Need.REALTIME})}


def done(**usage: Any) -> bytes:
    """Return the event that ends a response."""
    return json.dumps({"type": "response.done", "response": {"usage": usage}}).encode()


class Pipe:
    """Says what it is told, and then that it is over."""

    def __init__(self, *messages: bytes, code: int = 1000) -> None:
        self._messages = list(messages)
        self._code = code
        self.code: int | None = None
        self.sent: list[bytes] = []
        self.closed = 0

    async def send(self, data: bytes) -> None:
        """Keep it."""
        self.sent.append(data)

    async def read(self) -> bytes:
        """Return the next one."""
        if not self._messages:
            self.code = self._code
            raise UpstreamFailure("over", sent=True)
        return self._messages.pop(0)

    async def close(self) -> None:
        """Count."""
        self.closed += 1


class Stage:
    """A pool of keys, and one way that they are dialled."""

    def __init__(self, dialled: Pipe | BaseException, *, kind=AccountKind.OPENAI) -> None:
        self._dialled = dialled
        self.scene = Scene(accounts=[account("a", kind=kind)], a=[])
        self.tunnels = Tunnels(
            pool=self.scene.pool,
            admission=self.scene.admission,
            pipes=self,
            clock=FakeClock(),
            observer=self.scene,
        )

    async def dial(self, account: Any, call: Any) -> Pipe:
        """Return or raise it."""
        assert (account.id, call.needs) == ("a", REALTIME["needs"])
        if isinstance(self._dialled, BaseException):
            raise self._dialled
        return self._dialled

    async def open(self) -> Tunnel:
        """Open a tunnel."""
        return await self.tunnels.open(call(**REALTIME))

    @property
    def outcome(self) -> Outcome:
        """The one outcome that the books and the pool were told of."""
        [outcome] = self.scene.seen
        assert [state.in_flight for state in self.scene.pool.states] == [0]
        return outcome


async def heard(tunnel: Tunnel) -> list[bytes]:
    """Return what the upstream says, to its end."""
    messages = []
    while True:
        try:
            messages.append(await tunnel.read())
        except UpstreamFailure:
            return messages


async def test_messages_go_through_and_usage_adds_up() -> None:
    """The very same bytes; the lease lasts as long as the tunnel."""
    details = {"cached_tokens": 2}
    first = done(input_tokens=5, output_tokens=3, input_token_details=details)
    said = [b"{}", first, done(input_tokens=1, output_tokens=1)]
    pipe = Pipe(*said)
    stage = Stage(pipe)
    tunnel = await stage.open()
    await tunnel.send(b"up")
    assert [state.in_flight for state in stage.scene.pool.states] == [1]
    messages = await heard(tunnel)
    assert all(new is old for new, old in zip(messages, said, strict=True))
    await tunnel.close()
    assert (pipe.sent, pipe.closed, tunnel.code) == ([b"up"], 1, 1000)
    assert isinstance(stage.outcome, Succeeded)
    assert stage.outcome.usage == Usage(input=6, cached=2, output=4)
    assert stage.scene.begun == ["a"]


@pytest.mark.parametrize("odd", [
    b'{"type":"response.done"', b'{"type":"other","x":"response.done"}',
    b'{"type":"response.done","response":null}', b'{"type":"response.done","response":{"usage":1}}',
    b'{"type":"response.done","x":"\xff"}',
])  # fmt: skip
async def test_what_says_nothing_of_usage_does_no_harm(odd) -> None:
    """It goes through like anything else."""
    stage = Stage(Pipe(odd))
    tunnel = await stage.open()
    assert await heard(tunnel) == [odd]
    await tunnel.close()
    assert stage.outcome.usage is None


@pytest.mark.parametrize(("code", "kind"), [
    (1000, Succeeded), (1001, Succeeded), (1005, Succeeded), (1006, Broken), (1011, Broken),
])  # fmt: skip
async def test_a_bad_end_is_the_accounts(code, kind) -> None:
    """A good one is not."""
    stage = Stage(Pipe(code=code))
    tunnel = await stage.open()
    await heard(tunnel)
    await tunnel.close()
    assert isinstance(stage.outcome, kind)


async def test_a_caller_that_leaves_first_ends_it_well() -> None:
    """There is nothing wrong with the account."""
    stage = Stage(Pipe(b"{}"))
    tunnel = await stage.open()
    await tunnel.close()
    assert isinstance(stage.outcome, Succeeded)


LIMIT = b'{"error":{"code":"rate_limit_exceeded","message":"slow down"}}'


@pytest.mark.parametrize(("dialled", "kind", "status"), [
    (PipeRefused(429, [], LIMIT), RateLimited, 429),
    (UpstreamFailure("refused", sent=False), Broken, 502),
])  # fmt: skip
async def test_there_is_one_attempt(dialled, kind, status) -> None:
    """Its caller hears how it went, over HTTP."""
    stage = Stage(dialled)
    with pytest.raises(GatewayError) as refused:
        await stage.open()
    assert refused.value.status == status
    assert isinstance(stage.outcome, kind)


async def test_a_caller_that_leaves_while_it_is_dialled_is_no_fault() -> None:
    """The lease is settled all the same."""
    stage = Stage(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await stage.open()
    assert isinstance(stage.outcome, Abandoned)


async def test_a_pool_that_has_no_such_accounts_says_so() -> None:
    """Another one will not do."""
    stage = Stage(Pipe(), kind=AccountKind.CODEX)
    with pytest.raises(NotSupportedByUpstream, match="realtime sessions"):
        await stage.open()
    assert stage.scene.refusals[0][0] == "not_supported_by_upstream"
    stage = Stage(Pipe())
    stage.scene.pool.apply([], now=0.0)
    with pytest.raises(CapacityError):
        await stage.open()
