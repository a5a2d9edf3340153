"""One turn's way back to the caller on its WebSocket: an event a message.

The server in front takes messages and, after a few, makes us wait while the caller reads slowly,
which keeps us from reading on upstream. Nothing is queued here.
"""

from collections.abc import Awaitable

from app.domain.traffic import Traffic
from app.edge.company import Company, Headers, Pace
from app.edge.sockets.outgoing import Outgoing
from app.edge.sockets.speaker import Messages
from app.edge.stepping import begun


class TurnWay(Company):
    """Satisfies `app.edge.run.WayOf`. `close` it, whatever happens."""

    __slots__ = ("_outgoing", "_silence", "_traffic")

    def __init__(
        self, outgoing: Outgoing, *, pace: Pace, traffic: Traffic, silence: str | None
    ) -> None:
        """Take what sends messages; `silence` is said when nothing else was for a while."""
        super().__init__(pace)
        self._outgoing = outgoing
        self._traffic = traffic
        self._silence = silence

    def watch(self) -> None:
        """Leave it to the connection, which reads all the time, to say who has `left`."""

    def expect_stream(self) -> None:
        """Look after the turn from now on: there is no head that could go out early."""
        self._wrote_at = self._loop.time()
        self._beat = self._loop.call_later(self._pace.keepalive_s, self._tick)

    async def start(self, headers: Headers) -> None:
        """Begin: nothing goes out, for a message has no headers."""
        del headers
        await self.quiet()
        self.started = True
        self.status = 200

    async def write(self, data: Messages) -> None:
        """Send events; returns when the caller's side takes more."""
        if self._pulse is not None:
            await self.quiet()
        traffic, put = self._traffic, self._outgoing.put
        self._wrote_at = self._loop.time()
        for message in data:
            waiting = put(message.decode("utf-8", "replace"))
            traffic.messages_out += 1
            traffic.bytes_out += len(message)
            if waiting is not None:
                self._sending_since = self._loop.time()
                await waiting
                self._sending_since = 0.0

    def push(self, data: Messages) -> Awaitable[None] | None:
        """Send events; return what has to be waited for before more is sent, if anything."""
        writing = self.write(data)
        return writing if self._pulse is not None else begun(writing)

    async def end(self, data: Messages) -> None:
        """Send the last events; returns when the caller's side has taken all of them."""
        await self.write(data)
        self._sending_since = self._loop.time()
        await self._outgoing.flush()
        self._sending_since = 0.0
        self.ended = True

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the one message that says an error."""
        del headers
        self.started = True
        self.status = status
        if self._beat is None:
            self._beat = self._loop.call_later(self._pace.send_timeout_s, self._tick)
        await self.end([body])

    async def _keep_alive(self) -> None:
        if self._silence is not None:
            self._sending_since = self._loop.time()
            await self._outgoing.say(self._silence)
            self._sending_since = 0.0
