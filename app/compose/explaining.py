"""What the pools of other processes have explained: asked for over Redis, answered from memory."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from app.pool.explanation import Explanation, Explanations
from app.ports import Clock
from app.shared.questions import Questions

CHANNEL: Final = "c2a:explain:{}"
"""One for each installation: Redis tells what is published to all of its databases."""


class Wanted(Struct, frozen=True, array_like=True):
    """Which explanations are wanted: those of a call, or without one so many of the latest."""

    call_id: str | None
    count: int


_wanted = msgspec.msgpack.Decoder(Wanted)
_answers = msgspec.msgpack.Decoder(list[Explanation])


class Elsewhere:
    """Asks the others, and answers them; satisfies `app.admin.explaining.Elsewhere`."""

    def __init__(
        self, redis: Redis, *, installation: str, explanations: Explanations, clock: Clock
    ) -> None:
        self._explanations = explanations
        self._questions = Questions(
            redis, channel=CHANNEL.format(installation), answer=self._answer, clock=clock
        )

    async def find(self, call_id: str) -> Sequence[Explanation]:
        """Return what the others explained of a call."""
        return await self._ask(Wanted(call_id, 0))

    async def recent(self, count: int) -> Sequence[Explanation]:
        """Return the latest that each of the others explained."""
        return await self._ask(Wanted(None, count))

    async def run(self) -> None:
        """Answer the others until cancelled."""
        await self._questions.run()

    async def _ask(self, wanted: Wanted) -> list[Explanation]:
        found: list[Explanation] = []
        for answer in await self._questions.ask(msgspec.msgpack.encode(wanted)):
            try:
                found += _answers.decode(answer)
            except msgspec.DecodeError:  # of another version
                continue
        return found

    def _answer(self, data: bytes) -> bytes:
        try:
            wanted = _wanted.decode(data)
        except msgspec.DecodeError:
            return b""
        kept = (
            self._explanations.recent(wanted.count)
            if wanted.call_id is None
            else self._explanations.find(wanted.call_id)
        )
        return msgspec.msgpack.encode(kept) if kept else b""
