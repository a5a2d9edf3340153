"""Speaks Responses on one WebSocket: a turn is a request, its events go out as whole messages."""

from collections.abc import Callable
from functools import partial
from secrets import token_hex

from msgspec import structs

from app.dialects.responses.errors import retryable, tells_overload
from app.dialects.responses.frames import error_frame, turn_request, warm_up
from app.dialects.responses.replies import Note, ResponsesStream
from app.domain.call import Dialect
from app.edge.headers import error_headers
from app.edge.plans import Asked, PlanOf
from app.edge.responses import ResponsesSpeaker
from app.errors import CallerError, ContextUnavailable, GatewayError
from app.relay.reply import Batch

Messages = list[bytes]


class TurnSpeaker:
    """One connection's; `inner` speaks Responses with the connection's own memory."""

    dialect = Dialect.RESPONSES

    def __init__(self, inner: ResponsesSpeaker, *, now: Callable[[], float]) -> None:
        self._inner = inner
        self._now = now
        self._request_id = ""
        self.codex_route = inner.codex_route

    async def plan(self, asked: Asked) -> PlanOf[Messages]:
        """Return what a turn comes down to."""
        self._request_id = asked.head.request_id
        turn = turn_request(asked.body)
        spelled = [(name.encode(), value.encode()) for name, value in turn.headers]
        named = {name for name, _ in spelled}
        raw = [pair for pair in asked.head.raw if pair[0] not in named]
        head = structs.replace(asked.head, raw=[*spelled, *raw])
        try:
            plan = await self._inner.plan(structs.replace(asked, head=head, body=turn.body))
        except ContextUnavailable as error:
            raise self._forgotten(error) from None
        call = structs.replace(plan.call, live=True, stream=True)
        lane = partial(TurnLane, call.id, codex_route=self.codex_route, note=plan.note)
        told = None if turn.generate else lane().feed(self._warm_up(call.asked_model))
        return PlanOf(
            call=call,
            stream=True,
            lane=lane,
            output_tokens_max=plan.output_tokens_max,
            told=told,
        )

    def error_body(self, error: GatewayError) -> bytes:
        """Return the message that says the error."""
        return error_message(error, self._request_id)

    def _warm_up(self, model: str) -> Batch:
        """Return the reply to a turn that generates nothing, for which no account is asked."""
        name = f"resp_{token_hex(24)}"
        return Batch(b"", warm_up(name, model=model, created_at=int(self._now())))

    def _forgotten(self, error: ContextUnavailable) -> GatewayError:
        """Return how this caller is told that the conversation is not known here.

        A Codex client that is told so in the upstream's own words sends all of it.
        """
        if not self.codex_route or error.param != "previous_response_id":
            return error
        return CallerError(
            "The previous response is not known on this connection any more: send the whole"
            " conversation.",
            code="previous_response_not_found",
            param=error.param,
        )


class TurnLane:
    """The way of a reply's events to a caller on a WebSocket."""

    def __init__(self, request_id: str, *, codex_route: bool, note: Note | None) -> None:
        self._request_id = request_id
        self._stream = ResponsesStream(codex_route=codex_route, note=note)

    def feed(self, batch: Batch) -> Messages:
        """Return the events as they came, or as they become on the public routes."""
        events = batch.events
        if batch.plain:
            return [event.data for event in events]
        if tells_overload(batch.raw):
            events = [retryable(event) for event in events]
        return self._stream.messages(events)

    def finish(self) -> Messages:
        """Owe nothing: the terminal event has been passed on."""
        return []

    def failed(self, error: GatewayError) -> Messages:
        """Return the message that ends a broken stream."""
        return [error_message(error, self._request_id)]


def error_message(error: GatewayError, request_id: str) -> bytes:
    """Return the message that says an error, with what else an HTTP answer would say."""
    headers = {"x-request-id": request_id}
    headers |= {name.decode(): value.decode("latin-1") for name, value in error_headers(error)}
    del headers["content-type"]
    return error_frame(error, headers)
