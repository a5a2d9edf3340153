"""The upstream's reply as a legacy completion: chunks for a stream, or one answer. Pure.

What is said is decided by chat's `Deltas`, so the two dialects can't differ in it; of each delta
only the words count. Thoughts and calls have no place in a completion.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from app.dialects.chat.deltas import Deltas
from app.dialects.chat.errors import error_event
from app.dialects.chat.events import event_of, string_of
from app.dialects.chat.requests import ChatCall
from app.dialects.chat.usage import usage_of
from app.dialects.completions.requests import CompletionCall
from app.errors import GatewayError, StreamIncomplete, UpstreamError, UpstreamProtocolError

ANSWER_BYTES_MAX: Final = 64 << 20

_DONE: Final = b"data: [DONE]\n\n"
_INCOMPLETE: Final = "The upstream's stream ended before the answer did."
_REASONS: Final = {"tool_calls": "stop", "function_call": "stop"}


class _Words(Struct):
    content: Raw = Raw(b"")
    refusal: Raw = Raw(b"")


_WORDS: Final = msgspec.json.Decoder(_Words)


class _Texts:
    """The texts of one reply, each a JSON string."""

    def __init__(self, call: CompletionCall) -> None:
        self.deltas = Deltas(
            ChatCall(
                model=call.model,
                stream=call.stream,
                include_usage=call.include_usage,
                prompt_cache_key=None,
                body=b"",
                tool_names={},
                legacy_functions=False,
            )
        )

    def feed(self, data: bytes) -> list[bytes]:
        """Return what one event adds."""
        found = []
        for delta in self.deltas.feed(event_of(data), data):
            words = _WORDS.decode(delta)
            found += [text for raw in (words.content, words.refusal) if (text := string_of(raw))]
        return found

    def reason(self) -> bytes:
        """Return why the answer ended, encoded."""
        reason = self.deltas.finish_reason or "stop"
        return msgspec.json.encode(_REASONS.get(reason, reason))


class CompletionStream:
    """Turns the events of one reply into chunks. Feed it every event, then `finish` it."""

    def __init__(self, *, call: CompletionCall, id: str, created_at: int) -> None:
        self._texts = _Texts(call)
        self._include_usage = call.include_usage
        self._usage = b',"usage":null' if call.include_usage else b""
        self._start = _start(call, id, created_at)
        self._echo = msgspec.json.encode(call.prompt) if call.echo and call.prompt else b""

    def feed(self, data: bytes) -> bytes:
        """Return the chunks that one event's JSON gives rise to."""
        if self._texts.deltas.ended:
            return b""
        texts = self._texts.feed(data)
        if texts and self._echo:
            texts, self._echo = [self._echo, *texts], b""
        chunks = [self._chunk(text, b"null") for text in texts]
        if self._texts.deltas.finish_reason is not None:
            chunks.append(self._chunk(self._echo or b'""', self._texts.reason()))
        return b"".join(chunks)

    def finish(self) -> bytes:
        """Return usage, if asked for, and the end; or the error that ends a broken stream."""
        deltas = self._texts.deltas
        if deltas.finish_reason is None:
            return error_event(deltas.fail(StreamIncomplete(_INCOMPLETE)))
        if not self._include_usage:
            return _DONE
        usage = usage_of(deltas.usage)
        return b'data: %b,"choices":[],"usage":%b}\n\n%b' % (self._start, usage, _DONE)

    def _chunk(self, text: bytes, reason: bytes) -> bytes:
        parts = (self._start, text, reason, self._usage)
        form = (
            b'data: %b,"choices":[{"index":0,"text":%b,"logprobs":null,"finish_reason":%b}]%b}\n\n'
        )
        return form % parts


class CompletionFold:
    """The whole reply as one answer. Feed it every event, then take `body` once."""

    def __init__(self, *, call: CompletionCall, id: str, created_at: int) -> None:
        self._texts = _Texts(call)
        self._start = _start(call, id, created_at)
        self._pieces = [msgspec.json.encode(call.prompt)[1:-1]] if call.echo else []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take the next event.

        Raises:
            UpstreamProtocolError: The answer is over `ANSWER_BYTES_MAX`.
        """
        for text in self._texts.feed(data):
            self._size += len(text)
            self._pieces.append(text[1:-1])
        if self._size > ANSWER_BYTES_MAX:
            raise UpstreamProtocolError(f"The answer is over {ANSWER_BYTES_MAX} bytes.")

    def body(self) -> bytes:
        """Return the completion.

        Raises:
            GatewayError: The reply failed or just stopped.
        """
        deltas = self._texts.deltas
        if deltas.finish_reason is None:
            failure: GatewayError | None = deltas.failure
            if failure is None:
                raise StreamIncomplete(_INCOMPLETE)
            raise UpstreamError(failure.message, code=failure.code, param=failure.param)
        text = b'"' + b"".join(self._pieces) + b'"'
        form = (
            b'%b,"choices":[{"index":0,"text":%b,"logprobs":null,"finish_reason":%b}],"usage":%b}'
        )
        return form % (self._start, text, self._texts.reason(), usage_of(deltas.usage))


def _start(call: CompletionCall, id: str, created_at: int) -> bytes:
    """Return what every object of one answer begins with."""
    return b'{"id":%b,"object":"text_completion","created":%d,"model":%b' % (
        msgspec.json.encode(id),
        created_at,
        msgspec.json.encode(call.model),
    )
