"""From a host's name to an open socket.

A name may lead to several addresses, of which the first may lead nowhere: the next one is tried
before the first has failed, and whoever answers first is it (RFC 8305).
"""

import asyncio
import socket
from itertools import zip_longest
from typing import Any, Final

STAGGER_S: Final = 0.25
"""How long an address has to answer before the next one is tried as well."""
KEEPALIVE_S: Final = 30
UNHEARD_MS: Final = 60_000
"""How long what was sent may stay unheard before the connection is over."""

Address = tuple[int, Any]
"""A family and where to connect to."""


async def dial(host: str, port: int) -> socket.socket:
    """Return a connected socket.

    Raises:
        OSError: The name leads nowhere, or nobody answers there.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = in_turn([(family, address) for family, _, _, _, address in found])
    if len(addresses) == 1:
        return await _connect(*addresses[0])
    return await _race(addresses)


def in_turn(addresses: list[Address]) -> list[Address]:
    """Return the addresses with the families taking turns, the first one's first."""
    first = [one for one in addresses if one[0] == addresses[0][0]]
    others = [one for one in addresses if one[0] != addresses[0][0]]
    return [one for pair in zip_longest(first, others) for one in pair if one is not None]


async def _race(addresses: list[Address]) -> socket.socket:
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[socket.socket]] = set()
    waiting = list(reversed(addresses))
    failure: OSError | None = None
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(_connect(*waiting.pop())))
            done, running = await asyncio.wait(
                running,
                timeout=STAGGER_S if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            won = [task for task in done if task.exception() is None]
            if won:
                for task in won[1:]:
                    task.result().close()
                return won[0].result()
            for task in done:
                error = task.exception()
                failure = error if isinstance(error, OSError) else failure
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_closed)
    raise failure or OSError("no address")


def _closed(task: asyncio.Task[socket.socket]) -> None:
    """Close what came too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
