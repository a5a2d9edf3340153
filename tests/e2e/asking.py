"""Requests and readings that several end-to-end tests share: prompts with directives, SSE by hand.

A directive in the prompt tells the simulator what to do with this one request, see its README. The
gateway knows nothing of it.
"""

import hashlib
import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx

from tests.e2e.programs import MODEL

_NUMBERS = count(1)
CONTENT = ("response.output_text.delta", "response.function_call_arguments.delta")


def prompt(text: str = "Tell me something.", **knobs: Any) -> str:
    """Return a text that is asked only once, with a directive for the simulator before it."""
    directive = f"[[sim {json.dumps(knobs)}]] " if knobs else ""
    return f"{directive}{text} ({next(_NUMBERS)})"


def failing_once(*faults: dict[str, Any], text: str = "echo: here we are") -> str:
    """Return a prompt whose first attempts go wrong in these ways; the next one is answered."""
    return prompt(text, attempts=[*faults, {}])


def question(text: str, **fields: Any) -> dict[str, Any]:
    """Return a body for the Responses routes that asks for a stream."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return {"model": MODEL, "input": [item], "instructions": "", "stream": True, **fields}


def chat(text: str, **fields: Any) -> dict[str, Any]:
    """Return a body for chat completions that asks for a stream."""
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "stream": True, **fields}


class Heard:
    """A whole stream as it came: its bytes, its head, and its events."""

    def __init__(self, status: int, headers: httpx.Headers, raw: bytes) -> None:
        self.status = status
        self.headers = headers
        self.raw = raw
        self.sha256 = hashlib.sha256(raw).hexdigest()

    @property
    def payloads(self) -> list[str]:
        """The `data` of each event, read as the SSE standard says."""
        return list(payloads(self.raw))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The decoded events, without `[DONE]`."""
        return [json.loads(data) for data in self.payloads if data != "[DONE]"]

    @property
    def types(self) -> list[str]:
        """The types of the events."""
        return [event["type"] for event in self.events]

    @property
    def text(self) -> str:
        """The text that the deltas make."""
        return "".join(
            event["delta"] for event in self.events if event.get("type") == CONTENT[0]
        ) or "".join(
            choice["delta"].get("content") or ""
            for event in self.events
            for choice in event.get("choices", ())
        )


def hear(client: httpx.Client, path: str, body: dict[str, Any], **options: Any) -> Heard:
    """Ask, and return everything that came back, byte for byte."""
    with client.stream("POST", path, json=body, **options) as answer:
        return Heard(answer.status_code, answer.headers, b"".join(answer.iter_raw()))


def payloads(raw: bytes) -> Iterator[str]:
    """Yield the data of each SSE event, whatever its line ends."""
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    data: list[str] = []
    for line in lines:
        if not line and data:
            yield "\n".join(data)
            data = []
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
