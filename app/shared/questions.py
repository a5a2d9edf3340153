"""Asks all processes something that only one of them knows, for somebody who can wait a moment.

    asker ──publish──▶ every process ──push──▶ a list of the asker's own ──read──▶ asker

What is asked and answered are bytes. Nothing here is on the path of a call. A process that is away
costs `WAIT_S`, a Redis that is away nothing: then nobody else is known to know anything.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from app.ports import Clock
from app.shared.breaker import Breaker
from app.shared.cancellation import cancelled
from app.shared.client import FAULTS, STEP_S

WAIT_S: Final = 0.6
"""The longest wait for all answers."""
LOOK_S: Final = 0.02
LISTEN_S: Final = 1.0
KEPT_S: Final = 10
ANSWER_BYTES_MAX: Final = 1 << 20


class Question(Struct, frozen=True, array_like=True):
    """A question as it travels."""

    asker: str
    reply: str
    """The list that answers go to."""
    data: bytes


_questions = msgspec.msgpack.Decoder(Question)


class Questions:
    """One process's ear and mouth for one kind of question; `run` it to be asked."""

    def __init__(
        self, client: Redis, *, channel: str, answer: Callable[[bytes], bytes], clock: Clock
    ) -> None:
        """Take what answers from memory; an answer that is too long is not sent."""
        self._client = client
        self._channel = channel
        self._answer = answer
        self._clock = clock
        self._name = secrets.token_hex(8)
        self._breaker = Breaker()

    async def ask(self, data: bytes) -> list[bytes]:
        """Return what the others answer, in no order; those that are silent are left out."""
        if not self._breaker.admits(self._clock.monotonic()):
            return []
        reply = f"{self._channel}:{secrets.token_hex(8)}"
        question = msgspec.msgpack.encode(Question(self._name, reply, data))
        found: list[bytes] = []
        try:
            async with asyncio.timeout(WAIT_S):
                heard: int = await self._client.publish(self._channel, question)
                while len(found) < heard:
                    await asyncio.sleep(LOOK_S)
                    answers = await self._client.lrange(reply, 0, -1)
                    found = [each for each in answers if isinstance(each, bytes)]
        except TimeoutError:
            pass
        except FAULTS:
            self._breaker.failed(self._clock.monotonic())
            return []
        self._breaker.succeeded()
        return [each for each in found if each]

    async def run(self) -> None:
        """Answer what others ask, until cancelled."""
        while not cancelled():
            listening = self._client.pubsub(ignore_subscribe_messages=True)
            try:
                async with asyncio.timeout(STEP_S):
                    await listening.subscribe(self._channel)
                await self._listen(listening)
            except FAULTS:
                await asyncio.sleep(LISTEN_S)
            finally:
                with suppress(*FAULTS):
                    await listening.aclose()  # type: ignore[no-untyped-call]  # redis-py has none

    async def _listen(self, listening: PubSub) -> None:
        while not cancelled():
            message = await listening.get_message(timeout=LISTEN_S)
            if message is None:
                continue
            try:
                question = _questions.decode(message["data"])
            except msgspec.DecodeError:
                continue
            answer = b"" if question.asker == self._name else self._answer(question.data)
            if len(answer) > ANSWER_BYTES_MAX:
                answer = b""
            async with self._client.pipeline(transaction=False) as both:
                both.rpush(question.reply, answer)
                both.expire(question.reply, KEPT_S)
                await both.execute()
