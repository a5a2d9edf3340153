"""The proxies take the documented configuration, and pass calls on as it says."""

import asyncio
import socket
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from loadtests.rolling import proxies
from tests.servers import free_port

DRAINING = b"HTTP/1.1 503 no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
FINE = b"HTTP/1.1 200 ok\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfine"


@contextmanager
def replica(answer: bytes) -> Iterator[int]:
    """Answer every request in the same way; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@pytest.mark.parametrize("name", proxies.NAMES)
@pytest.mark.parametrize("gone", [False, True])
def test_a_call_goes_to_whoever_takes_it(tmp_path, name, gone):
    """Nobody notices a replica that drains or that is gone."""
    if proxies.program(name) is None:
        pytest.skip(f"no {name} on this machine")

    async def ask(port: int) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            return [await client.post("/v1/responses", content=b"{}") for _ in range(6)]

    with replica(DRAINING) as bad, replica(FINE) as good:
        replicas = (free_port() if gone else bad, good)
        with proxies.running(name, tmp_path, replicas=replicas) as port:
            if name == "haproxy":
                # Until its first look it takes everybody for ready.
                asyncio.run(settled(port))
            found = asyncio.run(ask(port))
    assert {(each.status_code, each.text) for each in found} == {(200, "fine")}
    assert {each.headers[proxies.REPLICA_HEADER].rpartition(":")[2] for each in found} == {
        str(good)
    }


async def settled(port: int) -> None:
    """Return once the proxy has found out who is ready: many calls in a row go well."""
    async with asyncio.timeout(20), httpx.AsyncClient() as client:
        row = 0
        while row < 10:
            answer = await client.post(f"http://127.0.0.1:{port}/", content=b"{}")
            row = row + 1 if answer.status_code == 200 else 0
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", proxies.NAMES)
def test_the_documentation_shows_what_was_tested(name):
    """Word for word: what operators copy is what the restarts ran behind."""
    file = proxies.CONFIGURATIONS / proxies.FILES[name]
    page = (proxies.CONFIGURATIONS.parent / "drain.md").read_text("utf-8")
    assert textwrap.indent(file.read_text("utf-8"), "    ") in page
