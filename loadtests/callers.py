"""Callers that never stop asking, and note of each call what truly reached them.

A request carries an id that nobody else uses, under which the gateway writes it down; so what a
caller saw, what the gateway booked and what the simulator did can be joined afterwards.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

import httpx
from msgspec import Struct

from loadtests.hearing import PATHS, Ear, Seen, data_of, whole

__all__ = ["ANY_PACE", "MODEL", "Callers", "Pace", "Plan", "Seen"]

MODEL: Final = "gpt-5.5"
REFUSED_S: Final = 0.02
"""Between two tries while nobody listens."""
TIMEOUT_S: Final = 60.0


class Pace(Struct, frozen=True):
    """How long answers are and how fast they come: the least and the most of each."""

    deltas: tuple[int, int] = (5, 60)
    events_per_s: tuple[int, int] = (50, 400)


ANY_PACE: Final = Pace()


class Plan(Struct, frozen=True):
    """What is special about a call: what upstream makes of it, and how its caller behaves."""

    name: str = "plain"
    knobs: dict[str, Any] = {}
    leave_after: int | None = None
    """Events after which the caller goes away; None if it stays."""
    pause_s: float = 0.0
    """Between two reads."""
    dialect: str = "responses"


PLAIN: Final = Plan()


def _plainly(_: Random) -> Plan:
    return PLAIN


class Callers:
    """So many at once, each with one request at a time; `seen` grows with every request.

    `draw` says what is special about the next call; nothing is, unless it is given.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str,
        name: str,
        rng: Random,
        pace: Pace = ANY_PACE,
        draw: Callable[[Random], Plan] = _plainly,
    ) -> None:
        self.seen: list[Seen] = []
        self.refused = 0
        """Requests that found nobody listening."""
        self.url = url
        self._key = key
        self._name = name
        self._rng = rng
        self._pace = pace
        self._draw = draw
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
        plan = self._draw(self._rng)
        stream = plan.leave_after is not None or self._rng.random() < 0.8
        seen = Seen(
            f"{self._name}-{next(self._numbers)}",
            stream,
            time.monotonic(),
            dialect=plan.dialect,
            unpriced=plan.knobs.get("no_usage", False),
        )
        try:
            await self._hear(client, seen, plan)
        except httpx.ConnectError:
            self.refused += 1
            await asyncio.sleep(REFUSED_S)
            return seen
        except httpx.TransportError as error:
            seen.code, seen.cut = type(error).__name__, True
        except asyncio.CancelledError:
            seen.left = True
            self._note(seen)
            raise
        self._note(seen)
        return seen

    def _note(self, seen: Seen) -> None:
        seen.seconds = time.monotonic() - seen.at
        self.seen.append(seen)

    async def _hear(self, client: httpx.AsyncClient, seen: Seen, plan: Plan) -> None:
        headers = {"authorization": f"Bearer {self._key}", "x-request-id": seen.request_id}
        url, body = f"{self.url}{PATHS[seen.dialect]}", self._body(seen, plan)
        async with client.stream("POST", url, json=body, headers=headers) as answer:
            seen.status = answer.status_code
            if answer.status_code != httpx.codes.OK or not seen.stream:
                whole(seen, await answer.aread())
                return
            ear = Ear(seen)
            async for data in data_of(answer.aiter_lines()):
                ear.line(data)
                if ear.events == plan.leave_after:
                    seen.left = not seen.ended
                    return
                if plan.pause_s:
                    await asyncio.sleep(plan.pause_s)

    def _body(self, seen: Seen, plan: Plan) -> dict[str, Any]:
        knobs = {
            "deltas": self._rng.randint(*self._pace.deltas),
            "events_per_s": self._rng.randint(*self._pace.events_per_s),
            **plan.knobs,
            "nonce": seen.request_id,
        }
        text = f"[[sim {json.dumps(knobs)}]] {seen.request_id}"
        if seen.dialect == "responses":
            said = [{"type": "input_text", "text": text}]
            item = {"type": "message", "role": "user", "content": said}
            return {"model": MODEL, "instructions": "", "input": [item], "stream": seen.stream}
        messages = [{"role": "user", "content": text}]
        body = {"model": MODEL, "messages": messages, "stream": seen.stream}
        return body if seen.dialect == "chat" else {**body, "max_tokens": 4_096}
