"""Callers that never stop asking, and note of each call what truly reached them.

A request carries an id that nobody else uses, under which the gateway writes it down; so what a
caller saw, what the gateway booked and what the simulator did can be joined afterwards.
"""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping
from random import Random
from typing import Any, Final

import httpx
from msgspec import Struct

MODEL: Final = "gpt-5.5"
REFUSED_S: Final = 0.02
"""Between two tries while nobody listens."""
TIMEOUT_S: Final = 60.0
_CONTENT: Final = "response.output_text.delta"
_COMPLETED: Final = "response.completed"


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


class Pace(Struct, frozen=True):
    """How long answers are and how fast they come: the least and the most of each."""

    deltas: tuple[int, int] = (5, 60)
    events_per_s: tuple[int, int] = (50, 400)


ANY_PACE: Final = Pace()


class Callers:
    """So many at once, each with one request at a time; `seen` grows with every request."""

    def __init__(
        self, url: str, *, key: str, name: str, rng: Random, pace: Pace = ANY_PACE
    ) -> None:
        self.seen: list[Seen] = []
        self.refused = 0
        """Requests that found nobody listening."""
        self._url = url
        self._key = key
        self._name = name
        self._rng = rng
        self._pace = pace
        self._numbers = itertools.count(1)

    async def run(self, count: int, *, pause_s: float = 0.0) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._ask_for_ever(pause_s))

    async def _ask_for_ever(self, pause_s: float) -> None:
        # A fresh client for each: callers share no connection.
        limits = httpx.Limits(max_keepalive_connections=1)
        async with httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits) as client:
            while True:
                await self.ask(client)
                await asyncio.sleep(pause_s * 2 * self._rng.random())

    async def ask(self, client: httpx.AsyncClient) -> Seen:
        """Make one request, and note what came of it."""
        stream = self._rng.random() < 0.8
        seen = Seen(f"{self._name}-{next(self._numbers)}", stream, time.monotonic())
        try:
            await self._hear(client, seen)
        except httpx.ConnectError:
            self.refused += 1
            await asyncio.sleep(REFUSED_S)
            return seen
        except httpx.TransportError as error:
            seen.code = type(error).__name__
        seen.seconds = time.monotonic() - seen.at
        self.seen.append(seen)
        return seen

    async def _hear(self, client: httpx.AsyncClient, seen: Seen) -> None:
        headers = {"authorization": f"Bearer {self._key}", "x-request-id": seen.request_id}
        url, body = f"{self._url}/v1/responses", self._body(seen)
        async with client.stream("POST", url, json=body, headers=headers) as answer:
            seen.status = answer.status_code
            if answer.status_code != httpx.codes.OK or not seen.stream:
                _whole(seen, json.loads(await answer.aread()))
                return
            async for event in _events(answer):
                kind = event.get("type")
                seen.content = seen.content or kind == _CONTENT
                if kind == _COMPLETED:
                    seen.ended, seen.response_id = True, event["response"]["id"]
                elif kind in {"error", "response.failed"}:
                    seen.code = str(kind)

    def _body(self, seen: Seen) -> dict[str, Any]:
        knobs = {
            "deltas": self._rng.randint(*self._pace.deltas),
            "events_per_s": self._rng.randint(*self._pace.events_per_s),
        }
        text = f"[[sim {json.dumps(knobs)}]] {seen.request_id}"
        item = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": text}],
        }
        return {"model": MODEL, "instructions": "", "input": [item], "stream": seen.stream}


def _whole(seen: Seen, document: Mapping[str, Any]) -> None:
    """Take in an answer that came in one piece."""
    if seen.status == httpx.codes.OK:
        seen.content = seen.ended = True
        seen.response_id = document["id"]
    else:
        seen.code = (document.get("error") or {}).get("code") or "error"


async def _events(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.aiter_lines():
        if line.startswith("data: {"):
            yield json.loads(line[6:])
