"""The upstream's reply as a Messages stream. Pure.

`Answer` decides what is said; here it is only joined. A stream's text deltas take a shorter way, as
they are nearly all of the traffic: the upstream's raw JSON string is put between two byte strings
that are made once a block. The plain way is kept in the tests as its oracle.
"""

from typing import Final

from app.dialects.chat.events import event_of, string_of
from app.dialects.messages.answer import Answer
from app.dialects.messages.blocks import Block
from app.dialects.messages.errors import error_event
from app.dialects.messages.fold import INCOMPLETE, MessagesFold
from app.dialects.messages.frames import DELTA_TAIL, delta_head
from app.dialects.messages.requests import MessagesCall
from app.errors import GatewayError, StreamIncomplete

__all__ = ["MessagesFold", "MessagesStream"]

_TEXT_DELTA: Final = "response.output_text.delta"


class MessagesStream:
    """Turns the events of one reply into encoded Messages events, in order.

    Feed it every event, then call `finish` once.
    """

    def __init__(self, *, call: MessagesCall, id: str, request_id: str | None = None) -> None:
        self._answer = Answer(call, id=id)
        self._texts = self._answer.texts
        self._request_id = request_id
        self._block: Block | None = None
        self._head = b""

    @property
    def finished(self) -> bool:
        """Tell whether the upstream ended its reply well; nothing more is to come."""
        return self._answer.stop_reason is not None

    @property
    def failure(self) -> GatewayError | None:
        """What the upstream said when it broke its reply off."""
        return self._answer.failure

    def feed(self, data: bytes) -> bytes:
        """Return the encoded events that one event's JSON gives rise to; often one, maybe none.

        Never raises: what is no event of the known form gives rise to nothing.
        """
        event = event_of(data)
        if event.type == _TEXT_DELTA and (block := self._texts.flowing(event)):
            if not (text := string_of(event.delta)):
                return b""
            if block is not self._block:
                self._block, self._head = block, delta_head(block.number, "text")
            return b"".join((self._head, text, DELTA_TAIL))
        return b"".join(self._answer.feed(event, data))

    def finish(self) -> bytes:
        """Return what is owed once the upstream's stream is over, however it ended.

        That is nothing for a whole answer, and the one error event that ends any other.
        """
        if self.finished:
            return b""
        return error_event(self._answer.fail(StreamIncomplete(INCOMPLETE)), self._request_id)
