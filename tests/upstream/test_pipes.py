"""Tests of app.upstream.pipes."""

from typing import Any

import pytest

from app.domain.account import AccountKind, Credential, Secret
from app.ports import PipeRefused, UpstreamFailure
from app.upstream.addresses import Addresses
from app.upstream.pipes import KeyedPipes
from app.upstream.sockets.connection import Rejected, Target, Unreachable
from tests.fakes.accounts import account, call


class Connection:
    """An open connection, held by a test."""

    headers = ()

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = 0
        self.over = False
        self.listener: Any = None

    def listen(self, listener: Any) -> None:
        """Keep who listens."""
        self.listener = listener

    async def send(self, data: bytes) -> None:
        """Keep it, or be over."""
        if self.over:
            raise ConnectionError
        self.sent.append(data)

    async def close(self) -> None:
        """Count."""
        self.closed += 1


class Dialled:
    """Dials one connection, and keeps where."""

    def __init__(self, found: Connection | Exception) -> None:
        self._found = found
        self.targets: list[Target] = []

    async def dial(self, target: Target) -> Any:
        """Return or raise it."""
        self.targets.append(target)
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


def keyed(**fields: Any) -> Any:
    """Return an account of the platform."""
    return account(kind=AccountKind.OPENAI, credential=Credential(Secret("sk-1")), **fields)


def pipes(dialled: Dialled) -> KeyedPipes:
    """Return what is tested."""
    return KeyedPipes(dial=dialled.dial, addresses=Addresses(), user_agent="codex2api/1")


@pytest.mark.parametrize(("base_url", "url"), [
    (None, "wss://api.openai.com/v1/realtime?model=real%26time"),
    ("http://127.0.0.1:1/v1/", "ws://127.0.0.1:1/v1/realtime?model=real%26time"),
])  # fmt: skip
async def test_the_accounts_own_address_is_dialled_with_its_key(base_url, url) -> None:
    """Under its own name of the model, and with nothing of the caller's."""
    dialled = Dialled(Connection())
    mine = keyed(base_url=base_url, model_map={"m": "real&time"})
    await pipes(dialled).dial(mine, call(model="m", headers=(("x-mine", "1"),)))
    [target] = dialled.targets
    assert target.url == url
    assert dict(target.headers) == {"user-agent": "codex2api/1", "authorization": "Bearer sk-1"}


async def test_messages_wait_in_order_until_the_end() -> None:
    """What has come before it can still be read."""
    connection = Connection()
    pipe = await pipes(Dialled(connection)).dial(keyed(), call())
    connection.listener.message(b"1")
    connection.listener.message(b"2")
    connection.listener.pong()
    assert pipe.code is None
    connection.listener.lost(1001, "bye")
    assert [await pipe.read(), await pipe.read()] == [b"1", b"2"]
    with pytest.raises(UpstreamFailure):
        await pipe.read()
    assert pipe.code == 1001
    await pipe.send(b"up")
    connection.over = True
    with pytest.raises(UpstreamFailure):
        await pipe.send(b"late")
    await pipe.close()
    await pipe.close()
    assert (connection.sent, connection.closed) == ([b"up"], 1)


async def test_a_refusal_keeps_its_status_and_its_words() -> None:
    """Whoever holds the lease judges it."""
    refused = Dialled(Rejected(403, [("a", "b")], b"no"))
    with pytest.raises(PipeRefused) as found:
        await pipes(refused).dial(keyed(), call())
    assert (found.value.status, found.value.headers, found.value.body) == (
        403, [("a", "b")], b"no",
    )  # fmt: skip
    with pytest.raises(UpstreamFailure, match="no route") as failed:
        await pipes(Dialled(Unreachable("no route"))).dial(keyed(), call())
    assert not failed.value.sent


async def test_other_kinds_have_no_such_thing() -> None:
    """Selection does not get there; nothing is dialled."""
    dialled = Dialled(Connection())
    with pytest.raises(UpstreamFailure):
        await pipes(dialled).dial(account(kind=AccountKind.CODEX), call())
    assert dialled.targets == []
