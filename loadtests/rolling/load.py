"""Callers behind a proxy: streams and WebSockets that never stop, and a note of each call.

Nobody tries anything again in silence. A caller whose stream ends without its terminal event, or
who finds nobody, notes it, and asks for something else.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from random import Random
from typing import Final

import websockets
from msgspec import Struct

from loadtests.callers import MODEL, Seen
from loadtests.rolling.proxies import REPLICA_HEADER

PATH: Final = "/v1/responses"
PATIENCE_S: Final = 60.0
REFUSED_S: Final = 0.1
"""Between two tries while nobody listens."""
TERMINAL: Final = frozenset({"response.completed"})
LAST: Final = frozenset({"response.completed", "response.failed", "response.incomplete", "error"})
RESTARTING: Final = 1012
HEAD_BYTES_MAX: Final = 65_536


class Shape(Struct, frozen=True):
    """How long answers are: events and how many come in a second; how fast the load begins."""

    deltas: tuple[int, int] = (8, 12)
    events_per_s: int = 1
    over_s: float = 8.0


class Noted(Struct):
    """One call as its caller saw it."""

    request_id: str
    began_at: float
    ended_at: float = 0.0
    replica: int = 0
    """The port of whoever answered."""
    moved: bool = False
    """The proxy asked a second replica."""
    status: int = 0
    """0 if no head came."""
    begun: bool = False
    """At least one event came."""
    content: bool = False
    ended: bool = False
    """The terminal event came."""
    clean: bool = False
    """The transport said that this was the end."""
    response_id: str = ""
    fault: str = ""
    """What was said instead, or why the connection ended."""

    @property
    def whole(self) -> bool:
        """Tell whether all is as it should be."""
        return self.ended and self.clean

    @property
    def seen(self) -> Seen:
        """The same in the words of the audit."""
        return Seen(
            request_id=self.request_id,
            stream=True,
            at=self.began_at,
            seconds=self.ended_at - self.began_at,
            status=self.status,
            content=self.content,
            response_id=self.response_id,
            ended=self.ended,
            code=self.fault,
        )


class Load:
    """So many streams and so many WebSockets at a time, until it is `over`."""

    def __init__(self, port: int, *, key: str, rng: Random, shape: Shape) -> None:
        self.noted: list[Noted] = []
        self.resent = 0
        """Turns that met the farewell of an idle WebSocket, and were asked for on another one."""
        self.open = 0
        self.talking = 0
        self._over = asyncio.Event()
        self._more = asyncio.Event()
        self._port = port
        self._key = key
        self._rng = rng
        self._shape = shape
        self._numbers = count(1)

    async def run(self, *, streams: int, sockets: int) -> None:
        """Ask until it is over; then let everybody hear the end."""
        whole = streams + sockets
        async with asyncio.TaskGroup() as group:
            for number in range(whole):
                work = self._stream if number < streams else self._socket
                group.create_task(self._for_ever(work, self._shape.over_s * number / whole))

    async def reached(self, number: float) -> None:
        """Return once so many calls are under way."""
        while self.open + self.talking < number:
            self._more.clear()
            await self._more.wait()

    def end(self) -> None:
        """Begin nothing new."""
        self._over.set()

    async def _for_ever(self, work: Callable[[], Awaitable[None]], after_s: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), after_s)
        while not self._over.is_set():
            await work()

    def _text(self, name: str) -> list[dict[str, object]]:
        knobs = {
            "deltas": self._rng.randint(*self._shape.deltas),
            "events_per_s": self._shape.events_per_s,
            "private_events": False,
            "nonce": name,
        }
        text = f"[[sim {json.dumps(knobs)}]] {name}"
        content = [{"type": "input_text", "text": text}]
        return [{"type": "message", "role": "user", "content": content}]

    def _note(self, noted: Noted) -> None:
        noted.ended_at = time.monotonic()
        self.noted.append(noted)

    async def _stream(self) -> None:
        noted = Noted(f"stream-{next(self._numbers)}", time.monotonic())
        self.open += 1
        self._more.set()
        writer = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                self._ask(writer, noted)
                head = await reader.readuntil(b"\r\n\r\n")
                _read_head(noted, head.decode("latin-1"))
                _read_body(noted, await _chunks(reader, noted))
        except TimeoutError:
            noted.fault = "nothing came any more"
        except (OSError, asyncio.IncompleteReadError) as error:
            noted.fault = type(error).__name__
        finally:
            self.open -= 1
            if writer is not None:
                writer.close()
            self._note(noted)
        if not noted.status:
            await asyncio.sleep(REFUSED_S)

    def _ask(self, writer: asyncio.StreamWriter, noted: Noted) -> None:
        asked = {"model": MODEL, "instructions": "", "stream": True}
        body = json.dumps({**asked, "input": self._text(noted.request_id)}).encode()
        lines = (
            f"POST {PATH} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {self._key}",
            f"X-Request-Id: {noted.request_id}", "Content-Type: application/json",
            f"Content-Length: {len(body)}", "Connection: close", "", "",
        )  # fmt: skip
        writer.write("\r\n".join(lines).encode() + body)

    async def _socket(self) -> None:
        """Take turns on one connection until it ends."""
        name = f"socket-{next(self._numbers)}"
        headers = {"authorization": f"Bearer {self._key}", "x-request-id": name}
        noted = Noted(name, time.monotonic())
        try:
            socket = await websockets.connect(
                f"ws://127.0.0.1:{self._port}{PATH}", additional_headers=headers, max_size=None,
                proxy=None, open_timeout=PATIENCE_S, ping_interval=None,
            )  # fmt: skip
        except (OSError, TimeoutError, websockets.InvalidHandshake) as error:
            noted.fault = f"{type(error).__name__}: {error}"
            self._note(noted)
            await asyncio.sleep(REFUSED_S)
            return
        said = socket.response.headers if socket.response is not None else {}
        async with socket:
            await self._turns(socket, name, _replica(said.get(REPLICA_HEADER, "")))

    async def _turns(self, socket: websockets.ClientConnection, name: str, replica: int) -> None:
        for number in count(1):
            if self._over.is_set():
                return
            noted = Noted(f"{name}.{number}", time.monotonic(), replica=replica, status=200)
            self.talking += 1
            self._more.set()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._turn(socket, noted)
            except TimeoutError:
                noted.fault = "nothing came any more"
            except websockets.ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else None
                if not noted.begun and code == RESTARTING:
                    self.resent += 1
                    return
                noted.fault = f"closed with {code}"
            finally:
                self.talking -= 1
            self._note(noted)
            if not noted.whole:
                return

    async def _turn(self, socket: websockets.ClientConnection, noted: Noted) -> None:
        asked = {"type": "response.create", "model": MODEL, "instructions": ""}
        await socket.send(json.dumps({**asked, "input": self._text(noted.request_id)}))
        while True:
            event = json.loads(await socket.recv())
            noted.begun = True
            kind = event["type"]
            noted.content = noted.content or kind == "response.output_text.delta"
            if kind in LAST:
                _ended(noted, event)
                noted.clean = True
                return


def _replica(said: str) -> int:
    return int(said.rpartition(":")[2] or 0)


def _read_head(noted: Noted, head: str) -> None:
    lines = head.split("\r\n")
    noted.status = int(lines[0].split()[1])
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == REPLICA_HEADER:
            noted.moved = "," in value
            noted.replica = _replica(value.strip())


async def _chunks(reader: asyncio.StreamReader, noted: Noted) -> bytes:
    """Return the body; `clean` says whether its last chunk came."""
    raw = bytearray()
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            raw += piece
            noted.begun = noted.begun or b"data: " in piece
    if noted.status != 200:
        return bytes(raw)
    body, at = bytearray(), 0
    while (line := raw.find(b"\r\n", at)) > 0:
        size = int(raw[at:line], 16)
        noted.clean = size == 0
        body += raw[line + 2 : line + 2 + size]
        at = line + 2 + size + 2
    return bytes(body)


def _read_body(noted: Noted, raw: bytes) -> None:
    noted.content = b"event: response.output_text.delta" in raw
    events = [line[6:] for line in raw.split(b"\n") if line.startswith(b"data: {")]
    if noted.status != 200 or not events:
        noted.fault = raw[-300:].decode("utf-8", "replace") or "no event came"
        return
    with suppress(ValueError):
        _ended(noted, json.loads(events[-1]))
    if not noted.whole and not noted.fault:
        noted.fault = "cut off"


def _ended(noted: Noted, event: dict[str, object]) -> None:
    response = event.get("response")
    if event["type"] in TERMINAL and isinstance(response, dict):
        noted.ended, noted.response_id = True, str(response["id"])
    elif event["type"] in LAST:
        noted.fault = json.dumps(event)[:300]


def calls(noted: Sequence[Noted]) -> list[Seen]:
    """Return those that the books must know of, each once: a second replica books it again."""
    return [each.seen for each in noted if not each.moved]
