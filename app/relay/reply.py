"""One attempt's reply: its events from the first to the terminal one, and what they showed.

Rule 1: the lease is settled exactly once, however the reply ends.
Rule 2: events come out whole; half an event stays here until its other half has come.
Rule 3: the prelude (what comes before content) is held back until `begin` has seen content.
Rule 4: a stream that ends without its terminal event is broken, whatever its transport says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from msgspec import DecodeError, Struct, json

from app.dialects.chat_upstream.decoder import RetoldDecoder
from app.dialects.responses.encrypted import of_event
from app.dialects.responses.events import Kind, classify, failure_of, receipt_of
from app.domain.outcome import Abandoned, Broken, Outcome, Succeeded
from app.domain.usage import Heard
from app.errors import GatewayError, StreamIncomplete, UpstreamProtocolError, UpstreamTimeout
from app.ports import Clock, UpstreamFailure, UpstreamReply
from app.relay.attempt import Attempt
from app.relay.course import Course
from app.relay.deadline import Deadline
from app.relay.diagnosis import Fault
from app.relay.faults import shown_by
from app.relay.silence import Silence
from app.wire.messages import MessageDecoder
from app.wire.sse import SseDecoder, SseEvent

_LIMITS: Final = b'"codex.rate_limits"'
AFTERMATH_S: Final = 1.0
"""How long the `response.failed` that usually follows an `error` event is waited for."""
MEASURED_FIRST: Final = 16
MEASURED_EVERY: Final = 16
"""Looking for an event's text costs half as much as telling what the event is, and is only wanted
of replies that break off: so of a long one every sixteenth event stands for those before it."""
_DELTA: Final = b'"delta":"'


class Batch(Struct, frozen=True, gc=False):
    """Whole events that came together, and the bytes they came in.

    Of a live call's reply only the events' `data` means anything: it may have come as messages.
    """

    raw: bytes
    events: list[SseEvent]
    plain: bool = False
    """Each event is content, as nearly all are: nothing in it means anything to the gateway."""


Take = Callable[[Batch], Awaitable[None] | None]
"""Takes the next events; returns what has to be waited for before it can take more."""
T = TypeVar("T")


class Terms(Struct, frozen=True):
    """The bounds of one reply."""

    prelude_bytes_max: int
    event_bytes_max: int
    idle_timeout_s: float
    document_bytes_max: int = 0


class Reply:
    """A reply whose head said 200. `begin` it, `read` it to its end, and `close` it always."""

    __slots__ = (
        "_attempt",
        "_begun",
        "_clock",
        "_closed",
        "_decoder",
        "_heard",
        "_held",
        "_silence",
        "_terms",
        "_upstream",
        "ended",
        "failed",
    )

    def __init__(
        self, upstream: UpstreamReply, *, attempt: Attempt, terms: Terms, clock: Clock
    ) -> None:
        self._upstream = upstream
        self._attempt = attempt
        self._heard = attempt.heard = Heard()
        self._terms = terms
        self._clock = clock
        self._decoder = _decoder(upstream, terms, live=attempt.call.live)
        self._held: list[Batch] = []
        self._begun = False
        self._closed = False
        self._silence: Silence | None = None
        self.ended = False
        """The terminal event has come out of `read`."""
        self.failed: Fault | None = None
        """What the upstream's own failing event said, if there was one."""

    @property
    def outcome(self) -> Outcome | None:
        """What the attempt showed, once it is known."""
        return self._attempt.outcome

    @property
    def begun_after_s(self) -> float:
        """How long the first content took; 0 if there was none."""
        return self._attempt.begun_after_s or 0.0

    def take_headers(self) -> Sequence[tuple[str, str]]:
        """Return the upstream's response headers; they are let go of, so a second time is empty."""
        headers, self._upstream.headers = self._upstream.headers, ()
        return headers

    async def begin(self, deadline: Deadline) -> Outcome | None:
        """Hold the prelude back until there is content: None, or what went wrong before it.

        `deadline` is that of the first event; once it is there, the next ones have the idle
        timeout each, because a model that has begun to reason may be silent for minutes.

        Raises:
            UpstreamFailure, UpstreamProtocolError: The stream broke before content.
        """
        size = 0
        while size <= self._terms.prelude_bytes_max:
            batch, content = await self._next()
            if batch is None:
                return self._attempt.conclude(Broken("ended before any content", sent=True))
            self._held.append(batch)
            if content:
                break
            if self.failed is not None:
                return self._attempt.conclude(self._failure(self.failed))
            size += len(batch.raw)
            deadline.restart(self._terms.idle_timeout_s)
        self._begun = True
        self._attempt.began()
        if self.failed is not None and self.ended:
            self._attempt.conclude(self._failure(self.failed))
        return None

    async def read(self) -> Batch | None:
        """Return the next whole events, or None after the terminal one.

        Raises:
            StreamIncomplete, UpstreamTimeout, UpstreamProtocolError: The reply has broken.
        """
        if self._held:
            return self._held.pop(0)
        if self.ended:
            return None
        return await self._bounded(self._batch())

    async def flow(self, take: Take) -> None:
        """Hand all events to `take` as they come, until the reply's end.

        What `take` returns is waited for before it is given more. Where the upstream's side can
        call, an event goes to `take` from there and no task is woken for it: that costs less than
        half. Everything else about a reply is known to `read`, which is asked for it.

        Raises: as `read`, and what `take` raises.
        """
        while (batch := await self.read()) is not None:
            pending = take(batch)
            # Or this frame would hold the prelude, kilobytes of it, while the stream lasts.
            del batch
            if pending is not None:
                await pending
            feed = self._upstream.feed
            while feed is not None and not self._held and not self.ended:
                course = Course(self, feed, take)
                pending = await self._bounded(course.run())
                if course.error is not None:
                    raise course.error
                if pending is None:
                    break
                await pending

    async def _bounded(self, coming: Awaitable[T]) -> T | None:
        """Wait for what comes, but not for ever; None if the reply is over, which may be a break.

        Raises: as `read`.
        """
        silence = self._silence
        if silence is None:
            limit_s = AFTERMATH_S if self.failed else self._terms.idle_timeout_s
            silence = self._silence = Silence(limit_s)
        silence.wait()
        try:
            found = await coming
        except UpstreamFailure as failure:
            self._cut(StreamIncomplete(_CUT), failure.reason)
        except UpstreamProtocolError as error:
            self._cut(error, error.message)
        except asyncio.CancelledError:
            if not silence.broke():
                raise
            self._cut(UpstreamTimeout(_SILENT), "idle timeout", silent=True)
        else:
            return found
        finally:
            silence.waiting_since = 0.0
        return None

    def abandon(self) -> None:
        """Note that the caller has left; `close` is still owed."""
        self._attempt.conclude(Abandoned())

    async def close(self) -> None:
        """Let go of the upstream. Keeps its connection only if the reply came to its end."""
        if self._closed:
            return
        self._closed = True
        if self._silence is not None:
            self._silence.stop()
        self._attempt.conclude(Abandoned())
        if self.ended:
            await self._upstream.finish()
        else:
            await self._upstream.abort()

    async def _next(self) -> tuple[Batch | None, bool]:
        """Return the next batch and whether it holds content; None at the end of the body."""
        while True:
            piece = await self._upstream.read()
            if piece is None:
                last = self._decoder.finish()
                if last is None or not _whole(last.data):
                    return None, False
                return self._notice(last.raw, [last])
            events = self._decoder.feed(piece)
            if events:
                return self._notice(self._decoder.taken, events)

    async def _batch(self) -> Batch | None:
        """Return the next batch, None after an `error` event that was the last word."""
        batch, _ = await self._next()
        if batch is None:
            self._cut(StreamIncomplete(_CUT), "ended without a terminal event")
        return batch

    def digested(self, piece: bytes) -> Batch | None:
        """Return the events that a piece completes, if it completes any."""
        decoder = self._decoder
        events = decoder.feed(piece)
        if not events:
            return None
        silence = self._silence
        if silence is not None:
            silence.waiting_since = silence.time()
        return self._notice(decoder.taken, events)[0]

    def _hear(self, data: bytes) -> None:
        """Count a piece of content."""
        heard = self._heard
        heard.deltas += 1
        if heard.deltas <= MEASURED_FIRST or not heard.deltas % MEASURED_EVERY:
            _measure(heard, data)

    def _notice(self, raw: bytes, events: list[SseEvent]) -> tuple[Batch, bool]:
        """Look at what came: content, encrypted items, and the end."""
        content, plain = False, True
        for at, event in enumerate(events):
            kind = Kind.CONTENT if event.text else classify(event.data)
            if kind is Kind.CONTENT:
                content = True
                self._hear(event.data)
                continue
            plain = False
            if kind is Kind.ITEM_DONE:
                content = True
                self._heard.deltas += 1
                fingerprint = of_event(event.data)
                if fingerprint is not None:
                    self._attempt.found(fingerprint)
            elif kind is Kind.PRIVATE:
                if _LIMITS in event.data:
                    self._attempt.hear_event(event.data)
            elif kind.terminal:
                content = content or kind.content
                if self._end(kind, event.data):
                    return _cut_after(raw, events, at), content
        return Batch(raw, events, plain), content

    def _end(self, kind: Kind, data: bytes) -> bool:
        """Take note of a terminal event; True if nothing may follow it."""
        self._heard.usage, self._heard.tier = receipt_of(data)
        if kind.failed:
            said = failure_of(data)
            self.failed = Fault(
                said.status,
                code=said.code,
                type=said.type,
                message=said.message,
                param=said.param,
                resets_at=said.resets_at,
                resets_in_s=said.retry_after_s,
                limits=self._attempt.limits,
            )
            if kind is Kind.ERROR:
                if self._silence is not None:
                    self._silence.shorten(AFTERMATH_S)
                return False
            self.ended = True
            if self._begun:
                self._attempt.conclude(self._failure(self.failed))
            return True
        self.ended = True
        self.failed = None  # whatever an `error` event said before, the upstream got over it
        self._attempt.began()
        self._attempt.conclude(Succeeded(self.begun_after_s, self._heard.usage))
        return True

    def _cut(self, error: GatewayError, reason: str, *, silent: bool = False) -> None:
        """End a reply whose stream is over: well, if an `error` event was its last word."""
        if self.failed is None:
            self._attempt.conclude(Broken(reason, sent=True, silent=silent))
            raise error
        self.ended = True
        self._attempt.conclude(self._failure(self.failed))

    def _failure(self, failed: Fault) -> Outcome:
        kind, model = self._attempt.lease.account.kind, self._attempt.call.model
        return shown_by(failed, kind=kind, model=model, now=self._clock.now())


def _decoder(
    upstream: UpstreamReply, terms: Terms, *, live: bool
) -> SseDecoder | MessageDecoder | RetoldDecoder:
    """Return what makes events of what this upstream sends, for this caller."""
    if upstream.retold is not None:
        return RetoldDecoder(upstream.retold, event_bytes_max=terms.event_bytes_max)
    if upstream.messages:
        return MessageDecoder(event_bytes_max=terms.event_bytes_max, framed=not live)
    return SseDecoder(event_bytes_max=terms.event_bytes_max)


_CUT: Final = "The upstream's stream broke off before its end."
_SILENT: Final = "The upstream fell silent in the middle of its reply."


def _whole(data: bytes) -> bool:
    """Tell whether the event that the end of a body completes was sent to its own end.

    A body that is cut can end properly, in the middle of an event: half a document is none.
    """
    try:
        json.decode(data)
    except (DecodeError, RecursionError):
        return False
    return True


def _measure(heard: Heard, data: bytes) -> None:
    """Add the text of an event to what was heard, and that of those that were not looked into."""
    start = data.find(_DELTA) + len(_DELTA)
    if start < len(_DELTA):
        return
    # A quote within the text has a backslash before it, so the text ends where a field begins.
    end = data.find(b'","', start)
    size = (end if end >= 0 else len(data) - len(b'"}')) - start
    heard.text_bytes += size * (1 if heard.deltas <= MEASURED_FIRST else MEASURED_EVERY)


def _cut_after(raw: bytes, events: list[SseEvent], at: int) -> Batch:
    """Return the events without what follows number `at`: nothing follows an end."""
    if at + 1 == len(events):
        return Batch(raw, events)
    kept = events[: at + 1]
    return Batch(b"".join(event.raw for event in kept), kept)
