"""One caller's WebSocket: reads what comes, does what the machine decides, and ends in time.

One task reads, all the time, so that a caller that leaves is noticed; another one answers the turn
that runs, if one does. To end a connection, the first stops reading and says farewell.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, assert_never

from litestar.types import Receive, Send
from msgspec import Struct, structs

from app.dialects.responses.frames import Message, message_of
from app.edge.company import Pace
from app.edge.dataplane import DataPlane, Turn
from app.edge.request import Head
from app.edge.sockets.ending import Ending
from app.edge.sockets.machine import (
    Abandon,
    Begin,
    Close,
    Command,
    Interrupt,
    Machine,
    SocketBounds,
    State,
)
from app.edge.sockets.registry import Sockets
from app.edge.sockets.speaker import TurnSpeaker
from app.edge.sockets.way import TurnWay
from app.errors import GatewayError

SILENCE: Final = '{"type":"codex.keepalive"}'
"""Only Codex clients get this; they skip what they don't know."""
ID_CHARS_MAX: Final = 120
"""As much of the handshake's request id as stands before a turn's number."""


class Terms(Struct, frozen=True):
    """What all connections have in common."""

    plane: DataPlane
    sockets: Sockets
    bounds: SocketBounds
    pace: Pace


class Connection(Ending):
    """From the accepted handshake to the end; satisfies `app.edge.sockets.registry.Connected`."""

    def __init__(
        self, terms: Terms, speaker: TurnSpeaker, head: Head, receive: Receive, send: Send
    ) -> None:
        super().__init__(receive, send, request_id=head.request_id)
        self._terms = terms
        self._speaker = speaker
        self._head = head
        self._loop = asyncio.get_running_loop()
        self._machine = Machine(terms.bounds, now=self._loop.time())
        self._turns = 0
        self._way: TurnWay | None = None
        self._early: Interrupt | Abandon | None = None
        """What came while the turn that has begun was not under way yet."""
        self._timer: asyncio.TimerHandle | None = None
        self._group: asyncio.TaskGroup | None = None

    @property
    def state(self) -> State:
        """Where it is."""
        return self._machine.state

    async def run(self) -> None:
        """Serve the connection to its end."""
        sockets = self._terms.sockets
        self._reader = asyncio.current_task()
        try:
            async with asyncio.TaskGroup() as self._group:
                self._look_again()
                sockets.enter(self)
                await self._until_over(self._read)
                await self._say_farewell()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            sockets.leave(self)
            self._count(sockets)

    def drain(self) -> None:
        """End between two turns."""
        self._heed(self._machine.drain())

    def hurry(self) -> None:
        """End now."""
        self._heed(self._machine.hurry())

    async def _read(self) -> None:
        traffic, machine = self._terms.sockets.traffic, self._machine
        while not self._over:
            message: Any = await self._receive()
            if message["type"] != "websocket.receive":
                self._heed(machine.left())
                return
            text = message.get("text")
            traffic.messages_in += 1
            if text is None:
                traffic.bytes_in += len(message.get("bytes") or b"")
                self._heed(machine.binary())
                continue
            body = text.encode()
            del message, text
            traffic.bytes_in += len(body)
            self._hear(body)
            del body

    def _hear(self, body: bytes) -> None:
        machine = self._machine
        refusal = machine.heard(now=self._loop.time(), size=len(body))
        if refusal or machine.state is State.CLOSING:
            self._heed(refusal)
            return
        try:
            message = message_of(body)
        except GatewayError as error:
            self._heed(machine.refused(error))
            return
        if message is Message.CREATE:
            self._heed(machine.asked(body))

    def _heed(self, commands: Sequence[Command]) -> None:
        """Do what the machine says. Never waits."""
        group = self._group
        if group is None:
            return
        for command in commands:
            match command:
                case Begin():
                    group.create_task(self._take(command.body))
                case Interrupt() | Abandon():
                    self._end_turn(command)
                case Close():
                    self._end(command)
                case _:
                    assert_never(command)

    def _end_turn(self, command: Interrupt | Abandon) -> None:
        if self._way is None:
            self._early = command
        elif isinstance(command, Interrupt):
            self._way.interrupt(command.error)
        else:
            self._way.left()

    async def _take(self, body: bytes) -> None:
        """Answer one turn."""
        terms = self._terms
        self._turns += 1
        head = structs.replace(
            self._head, request_id=f"{self._head.request_id[:120]}.{self._turns}"
        )
        silence = SILENCE if self._speaker.codex_route else None
        traffic = terms.sockets.traffic
        way = self._way = TurnWay(self._outgoing, pace=terms.pace, traffic=traffic, silence=silence)
        if self._early is not None:
            self._end_turn(self._early)
        turn = Turn(head, body)
        del body
        error = await terms.plane.take(self._speaker, way, turn)
        self._way = self._early = None
        if way.gone and self._machine.state is not State.CLOSING:
            # It takes no byte: it would not take a farewell either.
            self._machine.left()
            self._end()
            return
        self._heed(self._machine.answered(error, now=self._loop.time()))

    def _look_again(self) -> None:
        """Let the machine look at the time; one timer a connection, rarely ringing."""
        now = self._loop.time()
        self._heed(self._machine.tick(now=now))
        if self._machine.state is not State.CLOSING:
            self._timer = self._loop.call_at(max(self._machine.due_at, now + 1), self._look_again)
