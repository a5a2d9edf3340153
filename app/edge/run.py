"""The state of one request while it is answered, and the way back to whoever made it.

A request over HTTP and a turn on a WebSocket differ in how they come and in how they are answered;
what happens between is the same, and knows of the way no more than stands here.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from structlog.contextvars import bind_contextvars

from app.allowance.book import Ticket
from app.domain.caller import Caller
from app.domain.ledger import OK
from app.edge.company import Headers
from app.edge.headers import ALLOW, error_headers
from app.edge.manners import manners_of
from app.edge.plans import LaneOf, P, PlanOf, SpeakerOf
from app.edge.request import Head, Upload
from app.edge.streaming import CLOSE
from app.errors import GatewayError, MethodNotAllowed
from app.ports import Clock

P_contra = TypeVar("P_contra", contravariant=True)


class WayOf(Protocol[P_contra]):
    """The way back to one caller; `app.edge.streaming.Downstream` is the one over HTTP."""

    headers: Headers
    patience: Callable[[], float]

    @property
    def status(self) -> int:
        """What was answered; 0 while nothing was."""

    @property
    def started(self) -> bool:
        """True once the status can't be changed any more."""

    @property
    def ended(self) -> bool:
        """True once nothing may follow."""

    @property
    def gone(self) -> bool:
        """True once the caller has left, or might as well have."""

    @property
    def cut(self) -> GatewayError | None:
        """What the call was interrupted with."""

    @property
    def stayed(self) -> bool:
        """True if the call goes on although its caller has left."""

    def interrupt(self, error: GatewayError) -> None:
        """End the call with an error, if it has not ended."""

    def watch(self) -> None:
        """Notice from now on when the caller leaves."""

    def expect_stream(self) -> None:
        """Keep the caller company until a stream begins or an error is known."""

    async def quiet(self) -> None:
        """Return once nothing is going out."""

    async def start(self, headers: Headers) -> None:
        """Begin a stream."""

    def push(self, data: P_contra) -> Awaitable[None] | None:
        """Send whole events; return what has to be waited for before more is sent, if anything."""

    async def end(self, data: P_contra) -> None:
        """Send the last events, and the end."""

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""

    async def close(self) -> None:
        """Let go of timers and watchers."""


class Run(Generic[P]):
    """The state of one request while it is answered."""

    __slots__ = (
        "at",
        "caller",
        "code",
        "downstream",
        "error",
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

    def __init__(self, speaker: SpeakerOf[P], downstream: WayOf[P], clock: Clock) -> None:
        self.speaker = speaker
        self.downstream = downstream
        self.at = clock.now()
        self.started_at = clock.monotonic()
        self.id = ""
        self.uid = ""
        """Its name in the books; empty as long as nothing of it is written down."""
        self.code = OK
        self.error: GatewayError | None = None
        """What ended it without an answer, or broke its answer off."""
        self.caller: Caller | None = None
        self.ticket: Ticket | None = None
        self.told = False
        """The answer's headers say what is left to the caller."""
        self.upload: Upload | None = None
        self.plan: PlanOf[P] | None = None
        self.lane: LaneOf[P] | None = None
        self.first_event_s: float | None = None

    def name(self, head: Head) -> None:
        """Give the request its id; every answer carries it."""
        self.id = head.request_id
        bind_contextvars(request_id=self.id)
        headers = self.downstream.headers
        request_id = head.request_id.encode("latin-1")
        names = manners_of(self.speaker.dialect).request_id_headers
        headers += [(name, request_id) for name in names]
        if head.flaw is not None:
            # What follows on this connection may be read in more than one way, too.
            headers.append(CLOSE)

    async def refuse(self, error: GatewayError) -> None:
        """Answer with an error, in the form that is still possible."""
        self.code, self.error = error.code, error
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
