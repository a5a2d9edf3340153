"""A strict HTTP/1.1 peer over raw sockets (h11 judges), and a plain SSE reader, for these tests."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import h11
import msgspec
import orjson

CODEX = "/backend-api/codex/responses"


class Answer(msgspec.Struct):
    """What came back: as far as it was legal, and why it was not."""

    status: int = 0
    headers: list[tuple[str, str]] = []
    body: bytes = b""
    informational: int = 0
    complete: bool = False
    error: str = ""
    reads: int = 0

    def header(self, name: str) -> str | None:
        """Return the first value of a header."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return orjson.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the JSON events of an SSE body."""
        return [orjson.loads(data) for _, data in sse(self.body)]

    @property
    def text(self) -> str:
        """Return the text of all deltas."""
        kind = "response.output_text.delta"
        return "".join(event["delta"] for event in self.events if event["type"] == kind)

    @property
    def kinds(self) -> list[str]:
        """Return the types of the events, without repeats in a row."""
        kinds = [event["type"] for event in self.events]
        return [kind for at, kind in enumerate(kinds) if not at or kinds[at - 1] != kind]


def sse(body: bytes) -> list[tuple[str, str]]:
    """Return names and data of the events, read as the specification of SSE says."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    found, name, data = [], "", []
    *lines, _ = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data" and line:
            data.append(value)
        elif field == "event":
            name = value
        elif not line:
            if data:
                found.append((name, "\n".join(data)))
            name, data = "", []
    return found


def prompt(text: str, /, **more: Any) -> dict[str, Any]:
    """Return a legal Codex body that says the text."""
    message = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text}],
    }
    return {
        "model": "gpt-5.5",
        "instructions": "",
        "store": False,
        "stream": True,
        "input": [message],
        **more,
    }


def sim(text: str = "hello", /, **knobs: Any) -> str:
    """Return a prompt that carries knobs."""
    return f"[[sim {orjson.dumps(knobs).decode()}]] {text}"


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds; 5 s at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  (the simulator has no event to wait for)
            await asyncio.sleep(0)


class Peer:
    """Talks to one simulator as one account."""

    tls: ssl.SSLContext | None = None

    def __init__(self, simulator: Any, number: int = 0) -> None:
        accounts = simulator.world.accounts
        account = list(accounts.by_id.values())[number]
        self._adopt(simulator.port, accounts.credentials(account))

    @classmethod
    def of(cls, port: int, credentials: dict[str, str]) -> "Peer":
        """Return a peer of a simulator in another process."""
        peer = cls.__new__(cls)
        peer._adopt(port, credentials)
        return peer

    def _adopt(self, port: int, credentials: dict[str, str]) -> None:
        self.port = port
        self.credentials = credentials
        self.headers = {
            "authorization": f"Bearer {credentials['access_token']}",
            "chatgpt-account-id": credentials["account_id"],
        }

    async def ask(self, text: str, /, **more: Any) -> Answer:
        """Post a prompt to the Codex backend."""
        return await self.post(CODEX, prompt(text, **more))

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        """Post JSON, or bytes as they are."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.request("POST", path, data, headers)

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        """Get a path."""
        return await self.request("GET", path, b"", headers)

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one request on a connection of its own and read what comes, however broken."""
        host = "localhost" if self.tls else "127.0.0.1"
        reader, writer = await asyncio.open_connection(host, self.port, ssl=self.tls)
        try:
            return await exchange(
                reader, writer, method, path, body, {**self.headers, **(headers or {})}
            )
        finally:
            writer.transport.abort()


async def exchange(reader, writer, method, path, body, headers) -> Answer:
    """Send one request and read one reply with h11."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    fields = [("host", "sim"), *headers.items()]
    if body:
        fields.append(("content-length", str(len(body))))
        fields.append(("content-type", headers.get("content-type", "application/json")))
    request = h11.Request(method=method, target=path, headers=fields)
    wire = connection.send(request) or b""
    if body:
        wire += connection.send(h11.Data(data=body)) or b""
    wire += connection.send(h11.EndOfMessage()) or b""
    writer.write(wire)
    answer = Answer()
    try:
        await _read(connection, reader, answer)
        answer.complete = True
    except (h11.RemoteProtocolError, ConnectionError, ssl.SSLError) as error:
        answer.error = f"{type(error).__name__}: {error}"
    if answer.complete and connection.trailing_data[0]:
        answer.error = "surplus"
    return answer


async def _read(connection: h11.Connection, reader: asyncio.StreamReader, answer: Answer) -> None:
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(1 << 16)
            answer.reads += 1
            connection.receive_data(data)
        elif isinstance(event, h11.InformationalResponse):
            answer.informational += 1
        elif isinstance(event, h11.Response):
            answer.status = event.status_code
            answer.headers = [(k.decode(), v.decode("latin-1")) for k, v in event.headers]
        elif isinstance(event, h11.Data):
            answer.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return
        else:
            raise ConnectionError(f"closed: {event!r}")
