"""Runs one call of a caller, from its first byte to its last; the dialects plug in.

Every data-plane route is this one function with another `Speaker`: who is asking, what is asked,
which account answers, and how the answer is said. A turn on a WebSocket comes in by another door
and takes the same line from there. Here is the only `except Exception` of a call.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, cast

from litestar.types import HTTPScope, Receive, Scope, Send
from msgspec import Struct, structs

from app.domain.caller import Caller
from app.domain.ledger import OK
from app.edge.company import Pace
from app.edge.guards import Guard
from app.edge.headers import JSON
from app.edge.inflight import InFlight, Place
from app.edge.manners import manners_of
from app.edge.passing import Passing
from app.edge.plans import Asked, DocumentForm, P, PlanOf, Speaker, SpeakerOf, Told
from app.edge.request import Head, Upload, read_head
from app.edge.run import Run, WayOf
from app.edge.streaming import Downstream
from app.edge.till import Till
from app.errors import (
    CapacityError,
    GatewayError,
    MethodNotAllowed,
    NotSupportedByUpstream,
    UpstreamError,
    UpstreamRefused,
)
from app.ports import CallObserver, Clock
from app.relay.relay import Relay
from app.relay.reply import Reply
from app.usage.accountant import Ended
from app.wire.headers import response_headers

logger = logging.getLogger(__name__)

LINGER_S: Final = 10.0
LINGER_BYTES_MAX: Final = 256 << 20
"""What a caller may still send, and for how long, after an early answer."""
MISSING: Final = (404, 405, 501)
"""Statuses that say that there is no such thing."""
NOBODY: Final = ("pool_empty", "usage_limit_reached")
"""Codes that say that no account that could do it can do it soon."""
LEFT: Final = "caller_left"
"""What is written down of a call whose caller did not stay for the end."""
LEFT_MAX: Final = 200
"""Calls that go on at a time although their callers have left; further ones end at once."""


class Bounds(Struct, frozen=True):
    """The limits of one request."""

    body_bytes_max: int
    body_read_timeout_s: float
    pace: Pace
    patience_s: Callable[[], float] = float
    """How long a stream goes on whose caller has left, to learn what it uses; asked each time."""


class Turn(Struct):
    """One request on a connection that is open already: whose it is, and what it says."""

    head: Head
    body: bytes

    def let_go(self) -> bytes:
        """Return the body, and hold it no more: nobody asks twice what was asked."""
        body, self.body = self.body, b""
        return body


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
        downstream.silence = manners_of(speaker.dialect).silence
        run = Run(speaker, downstream, self.clock)
        await self._complete(run, self._read(run, scope, receive))
        # Its traceback holds the request: the server would keep the connection until a collection.
        run.error = None
        if run.upload is not None and run.upload.owed:
            await run.upload.discard(bytes_max=LINGER_BYTES_MAX, timeout_s=LINGER_S)

    async def take(self, speaker: SpeakerOf[P], way: WayOf[P], turn: Turn) -> GatewayError | None:
        """Answer one turn of a caller that is connected already, exactly once.

        Returns what ended it without an answer, or broke its answer off.
        """
        run = Run(speaker, way, self.clock)
        run.name(turn.head)
        await self._complete(run, self._hear(run, turn))
        error, run.error = run.error, None
        return error

    async def _complete(self, run: Run[P], work: Awaitable[None]) -> None:
        """Do the work of one request; a caller that leaves is no error."""
        try:
            await self._answer(run, work)
        except asyncio.CancelledError:
            if not run.downstream.gone:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            await run.downstream.close()
            self._note(run)

    def _note(self, run: Run[P]) -> None:
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

    async def _answer(self, run: Run[P], work: Awaitable[None]) -> None:
        try:
            await work
        except GatewayError as error:
            await self._refuse(run, error)
        except asyncio.CancelledError:
            cut = run.downstream.cut
            if cut is None:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            await self._refuse(run, cut)
        except Exception:
            logger.exception("a call failed inside the gateway")
            defect = GatewayError("The gateway failed; this is a defect of it.")
            await self._refuse(run, defect)

    async def _refuse(self, run: Run[P], error: GatewayError) -> None:
        self._tell_limits(run)
        await run.refuse(error)

    def _tell_limits(self, run: Run[P]) -> None:
        """Let the answer say what is left to its caller, if that is limited."""
        if run.caller is not None and not run.told:
            run.told = True
            run.downstream.headers += self._till.headers(run.caller)

    async def _read(self, run: Run[bytes], scope: Scope, receive: Receive) -> None:
        """Read a request over HTTP and carry it out."""
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
        place = self._in_flight.enter(run.downstream.interrupt)
        try:
            self._enter(run, caller)
            read = upload.read(
                bytes_max=self._bounds.body_bytes_max,
                timeout_s=self._bounds.body_read_timeout_s,
                hold=place.hold,
            )
            # Not even a name may hold the body for as long as the answer lasts.
            await self._carry_out(run, Asked(head, caller, await read, run.uid), place)
        finally:
            place.leave()

    async def _hear(self, run: Run[P], turn: Turn) -> None:
        """Carry out a turn, as if its caller had just presented its key."""
        caller = self.guard.identify(turn.head.key)
        self.guard.admit_to(caller, run.speaker.dialect.value)
        # The connection begins no turn once it drains; one that it has begun is heard.
        place = self._in_flight.enter(promised=True)
        try:
            self._enter(run, caller)
            place.hold(len(turn.body))
            await self._carry_out(run, Asked(turn.head, caller, turn.let_go(), run.uid), place)
        finally:
            place.leave()

    def _enter(self, run: Run[P], caller: Caller) -> None:
        run.uid, run.caller = self._till.open(), caller
        run.ticket = self._till.enter(caller)

    async def _carry_out(self, run: Run[P], asked: Asked, place: Place) -> None:
        """Do what is asked: this is where the dialect has its say."""
        plan = await run.speaker.plan(asked)
        del asked
        if isinstance(plan, Told):
            self._tell_limits(run)
            await run.downstream.answer(200, [JSON], plan.body)
            return
        run.plan = plan
        if run.ticket is not None:
            self._till.reserve(run.ticket, plan.call, plan.output_tokens_max)
        self._tell_limits(run)
        run.downstream.watch()
        if plan.told is not None:
            await run.downstream.start([])
            await run.downstream.end(plan.told)
            return
        try:
            await self._ask(plan, run, place)
        except (CapacityError, NotSupportedByUpstream, UpstreamRefused) as error:
            missing = error.status in MISSING or error.code in NOBODY
            if plan.otherwise is None or not missing or run.downstream.started:
                raise
            run.plan = plan.otherwise
            await self._ask(plan.otherwise, run, place)

    async def _ask(self, plan: PlanOf[P], run: Run[P], place: Place) -> None:
        """Have an account answer the call, and say its answer."""
        if plan.document is not None:
            found = await self._relay.document(plan.call, plan.document.usage)
            await self._say(plan.document, plan.document.body(found.body), run)
        elif plan.stream:
            await self._stream(plan, run, place)
        else:
            reply = await self._relay.whole(plan.call, plan.whole)
            await run.downstream.answer(200, [JSON], reply.body())

    async def _say(self, form: DocumentForm, body: bytes, run: Run[P]) -> None:
        if form.stream:
            await run.downstream.start([])
            await run.downstream.end(cast("P", body))
        else:
            await run.downstream.answer(200, [JSON], body)

    async def _stream(self, plan: PlanOf[P], run: Run[P], place: Place) -> None:
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
            self._observer.stream_ended(plan.call)
            await reply.close()

    async def _pass_on(self, reply: Reply, plan: PlanOf[P], run: Run[P]) -> None:
        """Say the reply as it comes, to its end."""
        downstream = run.downstream
        lane = run.lane = plan.lane()
        # No name for any of it: it would be held for as long as the stream lasts.
        await downstream.start(
            response_headers(reply.take_headers(), codex_route=plan.call.codex_route)
        )
        passing = Passing(lane, downstream, clock=self.clock, observer=self._observer)
        await reply.flow(passing.take)
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
        """Tell whether connections are to end with the answer: see `InFlight.closing`."""
        return self._in_flight.closing
