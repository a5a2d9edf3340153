"""A chat stream with who retells it, so that those who know Responses only can read it."""

from collections.abc import Sequence
from typing import Final

from app.dialects.chat_upstream.replies import END, Retold
from app.ports import UpstreamReply
from app.wire.sse import encode

_LAST: Final = b"\n\n" + encode("", END)


class RetoldReply:
    """A reply in chunks; see `app.ports.UpstreamReply`.

    The proper end of its body is a last piece, since an answer may be owed its end then.
    """

    __slots__ = ("_ended", "_reply", "feed", "retold")

    messages = False

    def __init__(self, reply: UpstreamReply, retold: Retold) -> None:
        self._reply = reply
        self._ended = False
        self.retold = retold
        self.feed = reply.feed
        """Its end is not for the taking, so `read` is asked and adds the last piece."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._reply.status

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The headers."""
        return self._reply.headers

    @headers.setter
    def headers(self, headers: Sequence[tuple[str, str]]) -> None:
        self._reply.headers = headers

    async def read(self) -> bytes | None:
        """Return the next piece of the body, or None at its end."""
        piece = await self._reply.read()
        if piece is None and not self._ended:
            self._ended = True
            return _LAST
        return piece

    async def finish(self) -> None:
        """Let go after the last event."""
        await self._reply.finish()

    async def abort(self) -> None:
        """Let go now."""
        await self._reply.abort()
