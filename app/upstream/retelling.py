"""A chat stream as it is read by those who know Responses only: the same reply, retold."""

from collections.abc import Sequence

from app.dialects.chat_upstream.replies import Retold
from app.ports import UpstreamReply
from app.wire.sse import SseDecoder


class RetoldReply:
    """A reply whose events come out as Responses events; see `app.ports.UpstreamReply`."""

    __slots__ = ("_decoder", "_ended", "_reply", "_retold")

    messages = False

    def __init__(self, reply: UpstreamReply, retold: Retold) -> None:
        self._reply = reply
        self._retold = retold
        self._decoder = SseDecoder()
        self._ended = False

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._reply.status

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The headers."""
        return self._reply.headers

    async def read(self) -> bytes | None:
        """Return what the next pieces of the body are retold as, or None at its end."""
        feed = self._retold.feed
        while not self._ended:
            piece = await self._reply.read()
            if piece is None:
                self._ended = True
                last = self._decoder.finish()
                told = (feed(last.data) if last else b"") + self._retold.finish()
            else:
                events = self._decoder.feed(piece)
                if len(events) == 1:
                    told = feed(events[0].data)
                else:
                    told = b"".join([feed(event.data) for event in events])
            if told:
                return told
        return None

    async def finish(self) -> None:
        """Let go after the last event."""
        await self._reply.finish()

    async def abort(self) -> None:
        """Let go now."""
        await self._reply.abort()
