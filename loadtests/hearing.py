"""Hears one answer to its end, in three dialects, and notes whatever is not as it must be.

The simulator writes the request's own mark into each piece of text, so words that are another
call's are known by theirs. Pieces of Responses are numbered, and after the terminal event nothing
may come in any dialect.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from msgspec import Struct, field

_MARK: Final = re.compile(rb"n=([A-Za-z0-9][A-Za-z0-9._-]*) ")
PATHS: Final = {
    "responses": "/v1/responses",
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
}
_CONTENT: Final = {
    "responses": b'"type":"response.output_text.delta"',
    "chat": b'"content":"',
    "messages": b'"type":"content_block_delta"',
}
_TERMINAL: Final = {
    "responses": (b'"type":"response.completed"', b'"type":"response.incomplete"'),
    "chat": (b"[DONE]",),
    "messages": (b'"type":"message_stop"',),
}
_FAILED: Final = {
    "responses": (b'"type":"response.failed"', b'"type":"error"'),
    "chat": (b'"error":{',),
    "messages": (b'"type":"error"',),
}
_NUMBER: Final = re.compile(rb'"sequence_number":([0-9]+)')
DISORDER_MAX: Final = 3


class Seen(Struct):
    """One request as its caller saw it."""

    request_id: str
    stream: bool
    at: float = 0.0
    """On the monotonic clock."""
    seconds: float = 0.0
    status: int = 0
    """0 if no head came."""
    content: bool = False
    response_id: str = ""
    ended: bool = False
    """The terminal event came, or a whole body."""
    code: str = ""
    """What it failed with: the error's own code, or the kind of break."""
    cut: bool = False
    """The connection broke, without a word."""
    left: bool = False
    """The caller went away before the end."""
    dialect: str = "responses"
    unpriced: bool = False
    """The upstream was told to say nothing of usage."""
    disorder: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


class Ear:
    """Takes in the lines of one stream; what it finds goes into `seen`."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._content = _CONTENT[seen.dialect]
        self._terminal = _TERMINAL[seen.dialect]
        self._failed = _FAILED[seen.dialect]
        self._number = -1
        self.events = 0

    def line(self, data: bytes) -> None:
        """Take in what stands after `data: `."""
        seen = self._seen
        self.events += 1
        listen(seen, data)
        if seen.ended or (seen.code and not seen.cut):
            # Chat says `[DONE]` after an error as well: clients read on until it comes.
            if not (seen.code and data == b"[DONE]"):
                self._wrong(f"went on after its end: {data[:60]!r}")
            return
        if seen.dialect == "responses":
            self._in_order(data)
        if any(each in data for each in self._failed) and self._content not in data:
            seen.code = code_of(json.loads(data))
        elif any(each in data for each in self._terminal) and self._content not in data:
            seen.ended = True
            if seen.dialect == "responses":
                seen.response_id = json.loads(data)["response"]["id"]
        elif self._content in data:
            seen.content = True

    def _in_order(self, data: bytes) -> None:
        found = _NUMBER.search(data)
        if found is None:
            return
        number = int(found[1])
        if number <= self._number:
            self._wrong(f"said {number} after {self._number}")
        self._number = number

    def _wrong(self, what: str) -> None:
        if len(self._seen.disorder) < DISORDER_MAX:
            self._seen.disorder.append(what)


def listen(seen: Seen, data: bytes) -> None:
    """Note the marks that are another call's."""
    own = seen.request_id.encode()
    seen.foreign += [mark.decode() for mark in _MARK.findall(data) if mark != own]


def whole(seen: Seen, body: bytes) -> None:
    """Take in an answer that came in one piece."""
    listen(seen, body)
    document = json.loads(body)
    if seen.status == 200:
        seen.content = seen.ended = True
        if seen.dialect == "responses":
            seen.response_id = document["id"]
    else:
        seen.code = code_of(document)


def code_of(document: Mapping[str, Any]) -> str:
    """Return the code of an error in whatever dialect: there always is one."""
    error = document.get("error") or (document.get("response") or {}).get("error") or document
    if not isinstance(error, dict):
        return "error"
    return str(error.get("code") or error.get("type") or "error")


async def data_of(lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """Yield the data of each event; each of ours stands on a line of its own."""
    async for line in lines:
        if line.startswith("data: "):
            yield line[6:].encode()
