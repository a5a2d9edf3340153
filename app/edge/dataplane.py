"""Runs one call of a caller, from its first byte to its last; the dialects plug in.

Every data-plane route is this one function with another `Speaker`: who is asking, what is asked,
which account answers, and how the answer is said. It has the only `except Exception` of the edge.
"""

import asyncio
import logging
from collections.abc import Callable
from math import ceil
from typing import Final, NoReturn, Protocol, cast

from litestar.types import HTTPScope, Receive, Scope, Send
from msgspec import Struct, structs

from app.allowance.book import Ticket
from app.domain.call import Call, Dialect
from app.domain.caller import Caller
from app.edge.guards import Guard
from app.edge.inflight import InFlight, Place
from app.edge.request import Head, Upload, read_head
from app.edge.streaming import CLOSE, Downstream, Headers, Pace
from app.edge.till import Till
from app.errors import GatewayError, MethodNotAllowed, UpstreamError, UpstreamRefused
from app.ports import CallObserver, Clock
from app.relay.document import UsageOf
from app.relay.relay import Relay
from app.relay.reply import Batch, Reply
from app.usage.accountant import Ended
from app.wire.headers import response_headers

logger = logging.getLogger(__name__)

OK: Final = "ok"
JSON: Final = (b"content-type", b"application/json")
ALLOW: Final = (b"allow", b"POST")
RETRY_HINT_MAX_S: Final = 120.0
"""OpenAI's SDKs wait at most this long; a longer wait is told to be no retry."""
LINGER_S: Final = 10.0
LINGER_BYTES_MAX: Final = 256 << 20
"""What a caller may still send, and for how long, after an early answer."""
LEFT: Final = "caller_left"
"""What is written down of a call whose caller did not stay for the end."""
LEFT_MAX: Final = 200
"""Calls that go on at a time although their callers have left; further ones end at once."""


class Lane(Protocol):
    """Says a reply in a dialect as it comes."""

    def feed(self, batch: Batch) -> bytes:
        """Return what the caller gets for these events."""

    def finish(self) -> bytes:
        """Return what is owed after the terminal event."""

    def failed(self, error: GatewayError) -> bytes:
        """Return what ends a stream that has broken."""


class WholeReply(Protocol):
    """Collects a reply, to be said at once."""

    def feed(self, batch: Batch) -> None:
        """Take the next events."""

    def body(self) -> bytes:
        """Return the whole answer."""


class DocumentForm(Struct, frozen=True):
    """How an upstream's answer that is one JSON document becomes the caller's."""

    usage: UsageOf
    """What it says of usage."""
    body: Callable[[bytes], bytes]
    """From the upstream's document to the caller's."""


def no_events() -> NoReturn:
    """Stand in for a lane where the answer is a document."""
    raise AssertionError("this answer is no stream of events")


class Plan(Struct):
    """What a request comes down to: `lane` and `whole` for events, `document` for a document."""

    call: Call
    stream: bool
    lane: Callable[[], Lane] = no_events
    whole: Callable[[], WholeReply] = no_events
    output_tokens_max: int | None = None
    """How long an answer the caller has asked for at most; not every upstream heeds it."""
    document: DocumentForm | None = None


class Asked(Struct, frozen=True):
    """A request that has been read, and who made it."""

    head: Head
    caller: Caller
    body: bytes
    uid: str = ""


class Speaker(Protocol):
    """A dialect at the edge."""

    dialect: Dialect
    codex_route: bool

    async def plan(self, asked: Asked) -> Plan:
        """Return what the request comes down to, or raise what is wrong with it.

        Waits only where the request goes on from what another worker has answered.
        """

    def error_body(self, error: GatewayError) -> bytes:
        """Return the error in the dialect's shape."""


class Bounds(Struct, frozen=True):
    """The limits of one request."""

    body_bytes_max: int
    body_read_timeout_s: float
    pace: Pace
    patience_s: Callable[[], float] = float
    """How long a stream goes on whose caller has left, to learn what it uses; asked each time."""


class DataPlane:
    """What the data-plane routes of one worker share."""

    def __init__(  # noqa: PLR0913 - keyword-only, the parts that compose brings together
        self,
        *,
        guard: Guard,
        till: Till,
        relay: Relay,
        in_flight: InFlight,
        clock: Clock,
        observer: CallObserver,
        bounds: Bounds,
    ) -> None:
        self.guard = guard
        self._till = till
        self._left = 0
        self.clock = clock
        self._relay = relay
        self._in_flight = in_flight
        self._observer = observer
        self._bounds = bounds

    async def serve(self, speaker: Speaker, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of `speaker`'s dialect, exactly once, whatever happens."""
        downstream = Downstream(receive, send, pace=self._bounds.pace, closing=self._closing)
        run = _Run(speaker, downstream, self.clock)
        try:
            await self._answer(run, scope, receive)
        except asyncio.CancelledError:
            if not downstream.gone:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            await downstream.close()
            self._note(run)
        if run.upload is not None and run.upload.owed:
            await run.upload.discard(bytes_max=LINGER_BYTES_MAX, timeout_s=LINGER_S)

    def _note(self, run: "_Run") -> None:
        """Tell how it went: to the books, to the metrics, and to whoever wants a line a call."""
        dialect, call = run.speaker.dialect, run.plan.call if run.plan else None
        status = 499 if run.downstream.gone else run.downstream.status
        seconds = self.clock.monotonic() - run.started_at
        if run.caller is not None and run.uid:
            code = LEFT if status == 499 and run.code == OK else run.code
            ended = Ended(
                uid=run.uid,
                at=run.at,
                request_id=run.id,
                caller_id=run.caller.id,
                dialect=dialect,
                call=call,
                status=status,
                code=code,
                first_event_s=run.first_event_s,
                seconds=seconds,
            )
            self._till.close(run.ticket, ended)
        self._observer.call(dialect, call, status, run.code, seconds)
        if logger.isEnabledFor(logging.DEBUG):
            said: dict[str, object] = {"request_id": run.id, "dialect": dialect.value}
            said |= {"model": call.model if call else None, "status": status, "code": run.code}
            logger.debug("call", extra={**said, "seconds": seconds})

    async def _answer(self, run: "_Run", scope: Scope, receive: Receive) -> None:
        try:
            await self._run(run, scope, receive)
        except GatewayError as error:
            await self._refuse(run, error)
        except Exception:
            logger.exception("a call failed inside the gateway", extra={"request_id": run.id})
            defect = GatewayError("The gateway failed; this is a defect of it.")
            await self._refuse(run, defect)

    async def _refuse(self, run: "_Run", error: GatewayError) -> None:
        self._tell_limits(run)
        await run.refuse(error)

    def _tell_limits(self, run: "_Run") -> None:
        """Let the answer say what is left to its caller, if that is limited."""
        if run.caller is not None and not run.told:
            run.told = True
            run.downstream.headers += self._till.headers(run.caller)

    async def _run(self, run: "_Run", scope: Scope, receive: Receive) -> None:
        head = read_head(cast("HTTPScope", scope))
        run.name(head)
        if head.flaw is not None:
            raise head.flaw
        upload = run.upload = Upload(head, receive)
        if head.method != "POST":
            raise MethodNotAllowed(f"{head.method} is not allowed here: use POST.")
        caller = self.guard.identify(head.key)
        self.guard.admit_from(caller, cast("HTTPScope", scope))
        self.guard.admit_to(caller, run.speaker.dialect.value)
        place = self._in_flight.enter()
        try:
            run.uid, run.caller = self._till.open(), caller
            run.ticket = self._till.enter(caller)
            body = await upload.read(
                bytes_max=self._bounds.body_bytes_max,
                timeout_s=self._bounds.body_read_timeout_s,
                hold=place.hold,
            )
            plan = run.plan = await run.speaker.plan(Asked(head, caller, body, run.uid))
            del body
            self._till.reserve(run.ticket, plan.call, plan.output_tokens_max)
            self._tell_limits(run)
            run.downstream.watch()
            if plan.document is not None:
                found = await self._relay.document(plan.call, plan.document.usage)
                await run.downstream.answer(200, [JSON], plan.document.body(found.body))
            elif plan.stream:
                await self._stream(plan, run, place)
            else:
                reply = await self._relay.whole(plan.call, plan.whole)
                await run.downstream.answer(200, [JSON], reply.body())
        finally:
            place.leave()

    async def _stream(self, plan: Plan, run: "_Run", place: Place) -> None:
        downstream = run.downstream
        downstream.expect_stream()
        reply = await self._relay.open(plan.call)
        # The stream may last for minutes, and nobody will ask again what was asked.
        plan.call = structs.replace(plan.call, body=b"", delta=None)
        place.release()
        run.first_event_s = self.clock.monotonic() - run.started_at
        self._observer.stream_began(plan.call, run.first_event_s)
        downstream.patience = self._patience_s
        try:
            await self._pass_on(reply, plan, run)
        finally:
            if downstream.stayed:
                self._left -= 1
            self._observer.stream_ended()
            await reply.close()

    async def _pass_on(self, reply: Reply, plan: Plan, run: "_Run") -> None:
        """Say the reply as it comes, to its end."""
        downstream = run.downstream
        lane = run.lane = plan.lane()
        headers = response_headers(reply.headers, codex_route=plan.call.codex_route)
        await downstream.start(headers)
        while (batch := await reply.read()) is not None:
            if downstream.gone:
                continue
            data = lane.feed(batch)
            if data:
                await downstream.write(data)
        if reply.failed is not None:
            run.code = reply.failed.code or UpstreamError.code
        if not downstream.gone:
            await downstream.end(lane.finish())

    def _patience_s(self) -> float:
        """Return how long a stream may go on whose caller is just leaving."""
        patience_s = self._bounds.patience_s() if self._left < LEFT_MAX else 0.0
        self._left += bool(patience_s)
        return patience_s

    def _closing(self) -> bool:
        """Tell whether connections are to end with the answer: this worker is going away."""
        return self._in_flight.draining


class _Run:
    """The state of one request while it is answered."""

    __slots__ = (
        "at",
        "caller",
        "code",
        "downstream",
        "first_event_s",
        "id",
        "lane",
        "plan",
        "speaker",
        "started_at",
        "ticket",
        "told",
        "uid",
        "upload",
    )

    def __init__(self, speaker: Speaker, downstream: Downstream, clock: Clock) -> None:
        self.speaker = speaker
        self.downstream = downstream
        self.at = clock.now()
        self.started_at = clock.monotonic()
        self.id = ""
        self.uid = ""
        """Its name in the books; empty as long as nothing of it is written down."""
        self.code = OK
        self.caller: Caller | None = None
        self.ticket: Ticket | None = None
        self.told = False
        """The answer's headers say what is left to the caller."""
        self.upload: Upload | None = None
        self.plan: Plan | None = None
        self.lane: Lane | None = None
        self.first_event_s: float | None = None

    def name(self, head: Head) -> None:
        """Give the request its id; every answer carries it."""
        self.id = head.request_id
        headers = self.downstream.headers
        headers.append((b"x-request-id", head.request_id.encode("latin-1")))
        if head.flaw is not None:
            # What follows on this connection may be read in more than one way, too.
            headers.append(CLOSE)

    async def refuse(self, error: GatewayError) -> None:
        """Answer with an error, in the form that is still possible."""
        self.code = error.code
        downstream, speaker = self.downstream, self.speaker
        await downstream.quiet()
        if downstream.ended or downstream.gone:
            return
        if downstream.started:
            await self._break_off(error)
            return
        status = error.status
        # The Codex CLI sends a body that was refused with 413 five times more.
        if status == 413 and speaker.codex_route:
            status = 400
        headers = error_headers(error)
        if isinstance(error, MethodNotAllowed):
            headers.append(ALLOW)
        if self.upload is not None and self.upload.owed:
            headers.append(CLOSE)
        await downstream.answer(status, headers, speaker.error_body(error))

    async def _break_off(self, error: GatewayError) -> None:
        """End an answer that has begun: a stream with its error, any other by just stopping.

        The server cuts what was not ended, so that nobody takes it for the whole.
        """
        if self.plan is not None and self.plan.stream:
            lane = self.lane or self.plan.lane()
            await self.downstream.end(lane.failed(error))


def error_headers(error: GatewayError) -> Headers:
    """Return the headers that go with an error."""
    headers: Headers = [JSON]
    if not isinstance(error, UpstreamRefused):
        headers.append((b"x-codex2api-reason", error.code.encode("latin-1", "replace")))
    if error.retry_after_s is None:
        if error.status == 409:
            # The SDKs send again what was refused with a 409, unless they are told otherwise.
            headers.append((b"x-should-retry", b"false"))
    else:
        seconds = max(1, ceil(error.retry_after_s))
        headers.append((b"retry-after", b"%d" % seconds))
        if error.retry_after_s > RETRY_HINT_MAX_S:
            headers.append((b"x-should-retry", b"false"))
    return headers
