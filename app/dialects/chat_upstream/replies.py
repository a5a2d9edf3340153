"""The chunks of a chat stream, retold as the events of a Responses stream. Pure.

Rule 1: texts, arguments and usage are conserved, and no well-formed chunk makes this raise; only an
answer that is too large does.
Rule 2: nothing that ends the prelude comes before content does, so an attempt that fails early can
still be made elsewhere.
Rule 3: words and thoughts end where something else begins; calls, which may come interleaved, stay
open to the end.
Rule 4: the reply is whole once the upstream has said why it ended; a stream that just stops is not
completed.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from app.dialects.chat_upstream.chunks import (
    ABSENT,
    CallPiece,
    Chunk,
    Complaint,
    Counted,
    Delta,
    Details,
    Function,
    arguments_of,
    calls_of,
    chunk_of,
    read,
    text_of,
)
from app.dialects.chat_upstream.output import REFUSAL, TEXT, Call, Called, Message, Pen, Thought
from app.dialects.chat_upstream.pieces import Pieces

DONE: Final = b"[DONE]"
END: Final = b"[END]"
"""Not the upstream's word but its reader's: the body has come to its proper end."""

_CUT: Final = {"length": b"max_output_tokens", "content_filter": b"content_filter"}
_NO_MORE: Final = (b"", b"")
_NULL: Final = Raw(b"null")
_ERROR: Final = Raw(b'"error"')
_RESPONSE: Final = (
    b'"response":{"id":"resp_%b","object":"response","created_at":%d,"status":"%b",'
    b'"background":false,"error":%b,"incomplete_details":%b,"instructions":null,'
    b'"max_output_tokens":null,"metadata":{},"model":%b,"output":[%b],"parallel_tool_calls":true,'
    b'"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"service_tier":%b,'
    b'"store":false,"temperature":null,"text":{"format":{"type":"text"}},"tool_choice":"auto",'
    b'"tools":[],"top_p":null,"truncation":"disabled","usage":%b,"user":null}'
)


class Teller(Struct, frozen=True):
    """Under which name a reply is told."""

    name: str
    """What makes its ids unique."""
    created_at: int
    model: str
    free_form: frozenset[str] = frozenset()
    """Functions that stand for tools with free-form input."""


class Retold:
    """The memory of one reply: feed it the data of every event, then `finish` it."""

    __slots__ = (
        "_begun", "_calls", "_ended", "_finish", "_items", "_latest", "_model", "_name", "_open",
        "_pen", "_pieces", "_teller", "_tier", "_usage",
    )  # fmt: skip

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._name = teller.name.encode()
        self._model = msgspec.json.encode(teller.model)
        self._pen = Pen()
        self._pieces = Pieces()
        self._open: Message | Thought | None = None
        self._calls: dict[int, tuple[str | None, Called]] = {}
        """The latest call of each index, with the id that the upstream gave it."""
        self._latest = -1
        self._items: dict[int, bytes | Called] = {}
        """The output by index: items that are whole, and calls that may go on."""
        self._begun = False
        self._ended = False
        self._finish: str | None = None
        self._usage = _NULL
        self._tier = _NULL

    def feed(self, data: bytes) -> bytes:
        """Return the events that one event's data gives rise to."""
        if self._ended:
            return b""
        if data == DONE:
            return self._complete() if self._begun else b""
        if data == END:
            return self.finish()
        chunk = chunk_of(data)
        if chunk is None:
            return b""
        if chunk.error not in (ABSENT, _NULL) or chunk.object == _ERROR:
            return self._fail(data, chunk)
        begun = b"" if self._begun else self._begin()
        said = self._chunk(chunk)
        if type(self._open) is Message:
            self._pieces.learn(data, chunk)
        return begun + said if begun else said

    def more_text(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the event of one more piece of the text that is open, and the piece; or nothing.

        What is no such piece, or is one that needs a second look, is for `feed`.
        """
        message = self._open
        if self._ended or type(message) is not Message or not message.saying(TEXT):
            return _NO_MORE
        piece = self._pieces.find(data)
        return (message.say(TEXT, piece), piece) if piece else _NO_MORE

    def finish(self) -> bytes:
        """Return what is owed at the end of the body: the end, if the upstream had come to it."""
        return self._complete() if self._finish is not None and not self._ended else b""

    def _begin(self) -> bytes:
        self._begun = True
        response = self._response(b"in_progress")
        created = self._pen.write(b"response.created", response)
        return created + self._pen.write(b"response.in_progress", response)

    def _chunk(self, chunk: Chunk) -> bytes:
        said = b""
        for choice in chunk.choices:
            if choice.index:
                continue
            delta = choice.delta or choice.message
            if delta is not None:
                said += self._delta(delta)
            if choice.finish_reason:
                self._finish = choice.finish_reason
        if chunk.usage is not ABSENT and chunk.usage != _NULL:
            self._usage = chunk.usage
        if chunk.service_tier is not ABSENT:
            self._tier = chunk.service_tier
        # The usage comes last; who tells it with the reason has nothing more to tell.
        if self._finish is not None and self._usage is not _NULL:
            return said + self._complete()
        return said

    def _delta(self, delta: Delta) -> bytes:
        said = b""
        thought = text_of(delta.reasoning_content) or text_of(delta.reasoning)
        if thought:
            said += self._think(thought)
        for kind, raw in ((TEXT, delta.content), (REFUSAL, delta.refusal)):
            text = text_of(raw)
            if text:
                said += self._speak(kind, text)
        if delta.tool_calls is not ABSENT or delta.function_call is not ABSENT:
            for piece in calls_of(delta):
                said += self._call(piece)
        return said

    def _speak(self, kind: bytes, text: bytes) -> bytes:
        message = self._open
        if type(message) is Message:
            return message.say(kind, text)
        closed = self._close_words()
        message = self._open = Message(self._pen, self._place(), self._teller.name)
        return closed + message.opened() + message.say(kind, text)

    def _think(self, text: bytes) -> bytes:
        thought = self._open
        if type(thought) is Thought:
            return thought.say(text)
        closed = self._close_words()
        thought = self._open = Thought(self._pen, self._place(), self._teller.name)
        return closed + thought.opened() + thought.say(text)

    def _call(self, piece: CallPiece) -> bytes:
        told = piece.function or piece.custom or Function()
        index = piece.index
        if index is None:
            # Servers that count nothing send a call at once, or go on with the latest.
            index = self._latest if not told.name else self._latest + 1
        known = self._calls.get(index)
        said = b""
        # Some servers count each call as the first one; their ids still differ.
        if known is None or (piece.id and known[0] and piece.id != known[0]):
            if not told.name:
                return b""
            said, known = self._called(index, piece, told)
        raw = arguments_of(told.arguments) or text_of(told.input)
        return said + known[1].say(raw) if raw else said

    def _called(
        self, index: int, piece: CallPiece, told: Function
    ) -> tuple[bytes, tuple[str | None, Called]]:
        closed = self._close_words()
        place, name = self._place(), told.name or ""
        call = Call(
            piece.id or f"call_{self._teller.name}_{place}",
            name,
            custom=piece.custom is not None,
            wrapped=name in self._teller.free_form,
        )
        called = Called(self._pen, place, self._teller.name, call)
        known = self._calls[index] = (piece.id, called)
        self._items[place] = called
        self._latest = index
        return closed + called.opened(), known

    def _place(self) -> int:
        """Return the next place in the output, and hold it."""
        place = len(self._items)
        self._items[place] = b""
        return place

    def _close_words(self, status: bytes = b"completed") -> bytes:
        words, self._open = self._open, None
        if words is None:
            return b""
        events, self._items[words.index] = words.closed(status)
        return events

    def _complete(self) -> bytes:
        """End the reply as the upstream has said that it ended."""
        self._ended = True
        reason = _CUT.get(self._finish or "")
        status = b"incomplete" if reason else b"completed"
        said = self._close_words(status)
        for place, item in self._items.items():
            if isinstance(item, Called):
                events, self._items[place] = item.closed(status)
                said += events
        response = self._response(
            status,
            details=b'{"reason":"%b"}' % reason if reason else b"null",
            usage=self._counted(),
        )
        return said + self._pen.write(b"response.%b" % status, response)

    def _fail(self, data: bytes, chunk: Chunk) -> bytes:
        """End the reply badly; the upstream's words are kept."""
        self._ended = True
        told = read(chunk.error, Complaint) or read(data, Complaint) or Complaint()
        words = read(chunk.error, str) or told.message
        status = told.code if isinstance(told.code, int) else None
        error = {
            "code": told.code if isinstance(told.code, str) else None,
            "type": told.type if isinstance(told.type, str) else None,
            "message": words if isinstance(words, str) else "The upstream broke off its answer.",
            "param": told.param if isinstance(told.param, str) else None,
        }
        response = self._response(b"failed", error=msgspec.json.encode(error))
        if status is not None and 400 <= status <= 599:
            response = b'"status":%d,%b' % (status, response)
        return self._pen.write(b"response.failed", response)

    def _response(
        self,
        status: bytes,
        *,
        error: bytes = b"null",
        details: bytes = b"null",
        usage: bytes = b"null",
    ) -> bytes:
        items = self._items.values()
        output = b",".join(item for item in items if item and isinstance(item, bytes))
        place = (self._name, self._teller.created_at, status, error, details)
        return _RESPONSE % (*place, self._model, output, text_of(self._tier) or b"null", usage)

    def _counted(self) -> bytes:
        """Return the usage in the words of Responses; null if there is none."""
        told = read(self._usage, Counted)
        if told is None or (told.prompt_tokens, told.completion_tokens) == (None, None):
            return b"null"
        heard, written = _count(told.prompt_tokens), _count(told.completion_tokens)
        asked = told.prompt_tokens_details or Details()
        cached = _count(asked.cached_tokens) or _count(told.prompt_cache_hit_tokens)
        thought = _count((told.completion_tokens_details or Details()).reasoning_tokens)
        return msgspec.json.encode(
            {
                "input_tokens": heard,
                "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": thought},
                "total_tokens": heard + written,
            }
        )


def _count(value: int | None) -> int:
    return max(0, value or 0)
