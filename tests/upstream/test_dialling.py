"""From a name to a socket: which addresses are tried, in which order, and who wins."""

import asyncio
import socket

import pytest

from app.upstream import dialling
from app.upstream.dialling import dial, in_turn

V4, V6 = socket.AF_INET, socket.AF_INET6
NOWHERE = (V4, ("127.0.0.1", 1))
"""Nobody listens there."""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([V4], [V4]),
        ([V6, V6, V4, V4], [V6, V4, V6, V4]),
        ([V4, V6, V6, V6], [V4, V6, V6, V6]),
    ],
)
def test_families_take_turns(given, expected):
    """So that a family that leads nowhere costs one wait."""
    found = in_turn([(family, n) for n, family in enumerate(given)])
    assert [family for family, _ in found] == expected
    assert sorted(n for _, n in found) == list(range(len(given)))


@pytest.fixture
async def server():
    """Somebody who listens."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()
    server.close()


@pytest.fixture
def resolving(monkeypatch):
    """Let a name lead to these addresses."""

    def lead(*addresses):
        async def getaddrinfo(*_, **__):
            return [(family, 1, 6, "", address) for family, address in addresses]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    return lead


async def test_a_number_is_an_address(server):
    """Nothing is asked for it."""
    with await dial(*server) as sock:
        assert sock.getpeername() == server
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_an_address_that_refuses_is_passed_over(server, resolving):
    """At once, without waiting for the next one's turn."""
    resolving(NOWHERE, (V4, server))
    with await dial("name", 1) as sock:
        assert sock.getpeername() == server


async def test_an_address_that_does_not_answer_is_not_waited_for(server, resolving, monkeypatch):
    """The next is tried as well, and the one that came too late is closed."""
    monkeypatch.setattr(dialling, "STAGGER_S", 0.01)
    connect = dialling._connect
    late = asyncio.Event()

    async def slow(family, address):
        if address == ("192.0.2.1", 1):
            try:
                await asyncio.Event().wait()
            finally:
                late.set()
        return await connect(family, address)

    monkeypatch.setattr(dialling, "_connect", slow)
    resolving((V4, ("192.0.2.1", 1)), (V4, server))
    with await dial("name", 1) as sock:
        assert sock.getpeername() == server
    await asyncio.wait_for(late.wait(), 5)


@pytest.mark.parametrize("addresses", [[NOWHERE], [NOWHERE, NOWHERE]])
async def test_where_nobody_answers_the_reason_is_told(resolving, addresses):
    """One address or several."""
    resolving(*addresses)
    with pytest.raises(ConnectionRefusedError):
        await dial("name", 1)
