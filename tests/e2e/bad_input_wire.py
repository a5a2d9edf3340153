"""HTTP byte by byte: what no client library would send, and what came back.

`Wire` is one connection. `reply` reads exactly one answer off it, so that tests see what follows:
another answer, the end of the connection, or a reset.
"""

import json
import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from tests.e2e.programs import API_KEY, MODEL

WAIT_S = 10.0
CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
CODEX = "/backend-api/codex/responses"
Pairs = Iterable[tuple[str, str]]


def chat(text: str = "hello", **more: Any) -> bytes:
    """Return the body of a good chat request."""
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": MODEL, "messages": messages} | more).encode()


def responses(text: str = "hello", **more: Any) -> bytes:
    """Return the body of a good Responses request."""
    return json.dumps({"model": MODEL, "input": text} | more).encode()


def head(path: str, *lines: str, method: str = "POST", version: str = "1.1") -> bytes:
    """Return a request's head with a good key, a host, and the given lines."""
    given = [f"{method} {path} HTTP/{version}", "Host: gateway", f"Authorization: Bearer {API_KEY}"]
    return "\r\n".join([*given, *lines, "", ""]).encode("latin-1")


def post(path: str, body: bytes, *lines: str, version: str = "1.1") -> bytes:
    """Return a whole request."""
    length = f"Content-Length: {len(body)}"
    return head(path, "Content-Type: application/json", length, *lines, version=version) + body


def chunked(*pieces: bytes) -> bytes:
    """Return the pieces as a chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


class Reply:
    """One answer."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = dict(headers)
        self.body = body

    @property
    def error(self) -> dict[str, Any]:
        """The error object; it must be complete, and agree with the headers."""
        error = json.loads(self.body)["error"]
        assert error.keys() >= {"message", "type", "param", "code"}, error
        assert error["message"]
        assert error["type"]
        assert self.headers["x-codex2api-reason"] == error["code"]
        assert self.headers["content-type"] == "application/json"
        assert self.headers["x-request-id"]
        return error

    @property
    def said(self) -> tuple[int, str]:
        """Status and code."""
        return self.status, self.error["code"]


class Wire:
    """A connection to the gateway; a context manager."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(("127.0.0.1", port))
        self._held = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.socket.sendall(data)

    def send_until_refused(self, data: bytes, times: int) -> int:
        """Send `data` again and again; return how many bytes went before the far side closed."""
        for number in range(times):
            try:
                self.socket.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                return number * len(data)
        return times * len(data)

    def reply(self, *, bodiless: bool = False) -> Reply:
        """Read one answer."""
        while b"\r\n\r\n" not in self._held:
            self._more()
        start, _, self._held = self._held.partition(b"\r\n\r\n")
        first, *lines = start.decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        headers = [(name.lower(), value) for name, value in pairs]
        found = dict(headers)
        status = int(first.split()[1])
        if bodiless or status < 200 or status in (204, 304):
            body = b""
        elif "content-length" in found:
            body = self._take(int(found["content-length"]))
        elif found.get("transfer-encoding") == "chunked":
            body = self._chunks()
        else:
            body = self._held + self.rest()
        return Reply(status, headers, body)

    def rest(self) -> bytes:
        """Return everything that comes until the far side closes."""
        received = self._held
        self._held = b""
        while data := self.socket.recv(65_536):
            received += data
        return received

    @property
    def closed(self) -> bool:
        """True once the far side closes without another byte; waits for either."""
        try:
            return not self._held and not self.socket.recv(65_536)
        except ConnectionResetError:
            return True

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        assert data, f"the connection ended after {self._held!r}"
        self._held += data

    def _take(self, size: int) -> bytes:
        while len(self._held) < size:
            self._more()
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _line(self) -> bytes:
        while b"\r\n" not in self._held:
            self._more()
        line, _, self._held = self._held.partition(b"\r\n")
        return line

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._line(), 16):
            body += self._take(size)
            self._line()
        self._line()
        return body


def ask(port: int, request: bytes, *, bodiless: bool = False) -> Reply:
    """Send one request on a connection of its own; return the answer."""
    with Wire(port) as wire:
        wire.send(request)
        return wire.reply(bodiless=bodiless)
