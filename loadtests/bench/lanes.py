"""A lane is one way from the loader to the upstream: which program, what it is asked to do.

nginx is asked what the gateway asks of the upstream: the same body with an account's headers. The
`direct` lane asks the simulator itself, which shows what the bench costs without any program.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
import orjson

from loadtests.bench.figures import Key, ProgramName, UpstreamKind, Work
from loadtests.bench.framing import text_frame
from loadtests.bench.gateway import CHAT_MODEL, KEY, Gateway
from loadtests.bench.nginx import SOCKETS
from loadtests.bench.processes import Program
from loadtests.bench.upstream import Upstream

MODEL: Final = "gpt-5.5"
_TEXT: Final = (
    "Summarise the three notes below for a colleague who has five minutes and has not read them. "
    "Keep the order, keep the numbers, and say which of the notes contradict one another."
)


_PATHS: Final = {
    "responses": "/v1/responses",
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
}


class Lane(msgspec.Struct, frozen=True):
    """One way through one program."""

    program: ProgramName
    work: Work
    upstream: UpstreamKind
    port: int
    streams: tuple[bytes, ...]
    """Requests whose reply is a stream, to be taken in turn."""
    wholes: tuple[bytes, ...]
    """Requests whose reply is wanted at once; nginx streams it all the same."""
    process: Program | None = None

    @property
    def name(self) -> str:
        """How people call it."""
        return self.program if self.work == "forward" else f"{self.program}, {self.work}"

    def key(self, scenario: str, metric: str) -> Key:
        """The name of a figure of this lane."""
        return Key(scenario, self.upstream, self.program, self.work, metric)

    def stream_requests(self) -> Iterator[bytes]:
        """The requests for streams, for ever."""
        return itertools.cycle(self.streams)


def through_gateway(gateway: Gateway, kind: UpstreamKind, *, model: str = MODEL) -> list[Lane]:
    """The gateway's lanes: Responses passed through, the other dialects translated."""
    headers = {"authorization": f"Bearer {KEY}"}
    works: tuple[Work, ...] = ("responses", "chat", "messages")
    lanes = (asking("gateway", work, kind, gateway.port, headers, model=model) for work in works)
    return [msgspec.structs.replace(lane, process=gateway.program) for lane in lanes]


def asking(
    program: ProgramName,
    work: Work,
    kind: UpstreamKind,
    port: int,
    headers: Mapping[str, str],
    *,
    model: str = CHAT_MODEL,
) -> Lane:
    """A lane of callers that speak one dialect; `by chat` says only what the upstream speaks."""
    dialect = work.partition(" ")[0]
    path = _PATHS[dialect]
    stream, whole = (
        _request(path, headers, _body(dialect, model, stream=stream)) for stream in (True, False)
    )
    return Lane(program, work, kind, port, (stream,), (whole,))


def by_chat(gateway: Gateway, kind: UpstreamKind) -> list[Lane]:
    """The same by way of an upstream that speaks Chat Completions only."""
    works: Mapping[str, Work] = {"responses": "responses by chat", "chat": "chat by chat"}
    lanes = through_gateway(gateway, kind, model=CHAT_MODEL)
    replace = msgspec.structs.replace
    return [replace(lane, work=works[lane.work]) for lane in lanes if lane.work in works]


def forwarded(program: ProgramName, port: int, upstream: Upstream, process: Program | None) -> Lane:
    """The lane of nginx, or of nothing at all: what the gateway would send upstream."""
    requests = tuple(
        _request("/backend-api/codex/responses", _account_headers(account), _UPSTREAM_BODY)
        for account in upstream.accounts()
    )
    return Lane(program, "forward", upstream.kind, port, requests, requests, process)


def sockets_through_gateway(gateway: Gateway, kind: UpstreamKind) -> Lane:
    """The gateway's lane over WebSocket: one turn a connection."""
    upgrade = _upgrade("/v1/responses", {"authorization": f"Bearer {KEY}"})
    turn = {"type": "response.create", "model": MODEL, "input": _INPUT}
    request = upgrade + text_frame(orjson.dumps(turn))
    return Lane("gateway", "websocket", kind, gateway.port, (request,), (), gateway.program)


def sockets_forwarded(port: int, upstream: Upstream, process: Program | None) -> Lane:
    """The lane of nginx over WebSocket: what the gateway would send upstream."""
    turn = {"type": "response.create", **orjson.loads(_UPSTREAM_BODY)}
    message = text_frame(orjson.dumps(turn))
    requests = tuple(
        _upgrade(
            f"{SOCKETS}/backend-api/codex/responses",
            {**_account_headers(account), "openai-beta": "responses_websockets=2026-02-06"},
        )
        + message
        for account in upstream.accounts()
    )
    return Lane("nginx", "forward", upstream.kind, port, requests, (), process)


def _upgrade(path: str, headers: dict[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "host: bench", "connection: Upgrade", "upgrade: websocket"]
    lines += ["sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _account_headers(account: dict[str, str]) -> dict[str, str]:
    return {
        "authorization": f"Bearer {account['access_token']}",
        "chatgpt-account-id": account["account_id"],
        "accept": "text/event-stream",
        "user-agent": "codex2api-bench",
        "originator": "codex2api",
    }


def _body(dialect: str, model: str, *, stream: bool) -> bytes:
    messages = [{"role": "user", "content": _TEXT}]
    if dialect == "chat":
        return orjson.dumps({"model": model, "stream": stream, "messages": messages})
    if dialect == "messages":
        fields = {"model": model, "stream": stream, "max_tokens": 1_000, "messages": messages}
        return orjson.dumps(fields)
    return orjson.dumps({"model": model, "stream": stream, "input": _INPUT})


def _request(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: bench", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


_INPUT: Final = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": _TEXT}]}
]
_UPSTREAM_BODY: Final = orjson.dumps(
    {"model": MODEL, "instructions": "", "store": False, "stream": True, "input": _INPUT}
)
