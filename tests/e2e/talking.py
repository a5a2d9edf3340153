"""A caller on a WebSocket that several end-to-end tests share: the client, and bytes by hand."""

import asyncio
import base64
import json
import os
import struct
from typing import Any

import websockets

from tests.e2e.programs import API_KEY, MODEL, Gateway

PUBLIC = "/v1/responses"
CODEX = "/backend-api/codex/responses"
REALTIME = "/v1/realtime"
PATIENCE_S = 15.0
LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})

TEXT, BINARY, CONTINUED, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def said(text: str) -> dict[str, Any]:
    """Return an input item: what a user says."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def create(text: str = "Tell me something.", **fields: Any) -> str:
    """Return the message that asks for a response."""
    asked = {"type": "response.create", "model": MODEL, "input": [said(text)]}
    return json.dumps({**asked, "instructions": "", **fields})


def connect(gateway: Gateway, path: str = PUBLIC, *, key: str = API_KEY, **options: Any) -> Any:
    """Return a connection to enter."""
    headers = {"authorization": f"Bearer {key}", **options.pop("headers", {})}
    return websockets.connect(
        f"ws://127.0.0.1:{gateway.port}{path}",
        additional_headers=headers,
        max_size=None,
        proxy=None,
        **options,
    )


async def hear(socket: Any) -> list[dict[str, Any]]:
    """Return the events up to the end of a response."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in LAST:
        events.append(json.loads(await asyncio.wait_for(socket.recv(), PATIENCE_S)))
    return events


async def ask(socket: Any, text: str, **fields: Any) -> list[dict[str, Any]]:
    """Return the events of one turn."""
    await socket.send(create(text, **fields))
    return await hear(socket)


async def closed(socket: Any) -> tuple[int | None, list[dict[str, Any]]]:
    """Return the code that the connection is closed with, and what comes before."""
    events: list[dict[str, Any]] = []
    try:
        while True:
            events.append(json.loads(await asyncio.wait_for(socket.recv(), PATIENCE_S)))
    except websockets.ConnectionClosed as end:
        return (end.rcvd.code if end.rcvd else None), events


def text_of(events: list[dict[str, Any]]) -> str:
    """Return the text that a response's deltas make."""
    return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


def framed(opcode: int, payload: bytes, *, final: bool = True, first: int = 0) -> bytes:
    """Return one masked frame; `first` sets bits of its first byte that must not be set."""
    size = len(payload)
    head = bytes([first | opcode | (0x80 if final else 0)])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", size)
    return head + bytes(4) + payload


class Wire:
    """A WebSocket by hand: frames that no client would send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, gateway: Gateway, path: str = PUBLIC) -> "Wire":
        """Connect and shake hands."""
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1 << 16)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{gateway.port}", "Connection: Upgrade",
            "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}",
            f"Authorization: Bearer {API_KEY}", "", "",
        )  # fmt: skip
        writer.write("\r\n".join(lines).encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        assert head.startswith(b"HTTP/1.1 101 "), head
        return cls(reader, writer)

    def frame(self, opcode: int, payload: bytes, *, final: bool = True, first: int = 0) -> None:
        """Send one frame; see `framed`."""
        self.writer.write(framed(opcode, payload, final=final, first=first))

    async def read(self) -> tuple[int, bytes]:
        """Return the next frame's opcode and payload; (-1, b"") at the end of the connection."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                first, second = await self.reader.readexactly(2)
                size = second & 0x7F
                if size == 126:
                    [size] = struct.unpack("!H", await self.reader.readexactly(2))
                elif size == 127:
                    [size] = struct.unpack("!Q", await self.reader.readexactly(8))
                return first & 15, await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return -1, b""

    async def until(self, opcode: int) -> bytes:
        """Return the payload of the next frame of this kind; others are read over."""
        while True:
            found, payload = await self.read()
            if found == opcode:
                return payload
            assert found >= 0, f"the connection ended before a frame {opcode}"

    async def end(self) -> int | None:
        """Return the code that the connection ends with; None if it just ends."""
        while True:
            opcode, payload = await self.read()
            if opcode < 0:
                return None
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0] if payload else 1005

    def drop(self) -> None:
        """End the connection without a word."""
        self.writer.transport.abort()
