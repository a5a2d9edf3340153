"""One attempt's reply that is a JSON document and no stream: read whole, or not at all.

What is not read to its proper end has shown nothing to the caller, so the attempt can be made
again. The document itself is not looked into but for its usage and encrypted items.
"""

from collections.abc import Callable, Sequence
from typing import Final

from app.dialects.responses.encrypted import of_document
from app.domain.outcome import Abandoned, Outcome, Succeeded
from app.domain.usage import Heard, Usage
from app.errors import UpstreamProtocolError
from app.ports import UpstreamReply
from app.relay.attempt import Attempt
from app.relay.deadline import Deadline
from app.relay.reply import Terms

UsageOf = Callable[[bytes], Usage | None]
"""From a document to what it says of usage."""

_TOO_LARGE: Final = "The answer is larger than can be collected."


class Document:
    """A reply whose head said 200. `begin` it, then `close` it; `body` is the whole of it."""

    __slots__ = ("_attempt", "_ended", "_terms", "_upstream", "_usage_of", "body")

    def __init__(
        self, upstream: UpstreamReply, *, attempt: Attempt, terms: Terms, usage_of: UsageOf
    ) -> None:
        self._upstream = upstream
        self._attempt = attempt
        self._terms = terms
        self._usage_of = usage_of
        self._ended = False
        self.body = b""
        """The document; empty before `begin` has returned."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The upstream's response headers."""
        return self._upstream.headers

    async def begin(self, deadline: Deadline) -> Outcome | None:
        """Read the document, each piece of it within the idle timeout.

        Raises:
            UpstreamFailure, UpstreamProtocolError: It broke off, or is too large.
        """
        heard = self._attempt.heard = Heard()
        pieces: list[bytes] = []
        size = 0
        while (piece := await self._upstream.read()) is not None:
            size += len(piece)
            if size > self._terms.document_bytes_max:
                raise UpstreamProtocolError(_TOO_LARGE)
            pieces.append(piece)
            deadline.restart(self._terms.idle_timeout_s)
        self._ended = True
        self.body = b"".join(pieces)
        heard.usage = self._usage_of(self.body)
        attempt = self._attempt
        for name in of_document(self.body):
            attempt.found(name)
        attempt.began()
        attempt.conclude(Succeeded(attempt.begun_after_s or 0.0, heard.usage))
        return None

    async def close(self) -> None:
        """Let go of the upstream."""
        self._attempt.conclude(Abandoned())
        if self._ended:
            await self._upstream.finish()
        else:
            await self._upstream.abort()
