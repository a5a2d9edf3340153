"""`POST /v1/responses` and its Codex alias: passed through with as few changes as possible."""

from typing import Final

import msgspec
from msgspec import Struct

from app.dialects.responses.encrypted import of_input
from app.dialects.responses.errors import error_body, error_event, retryable, tells_overload
from app.dialects.responses.needs import needs_of, tuning_of
from app.dialects.responses.replies import Note, ResponsesFold, ResponsesStream
from app.dialects.responses.requests import Wanted, to_upstream_with_delta
from app.domain.call import Call, Dialect
from app.edge.affinity import (
    bound_keys,
    isolated,
    isolated_headers,
    owner_keys,
    session_key,
)
from app.edge.continuation import Retold, retold
from app.edge.models import Models
from app.edge.plans import Asked, Plan
from app.edge.seed import seed_key
from app.errors import GatewayError
from app.ports import History
from app.relay.reply import Batch
from app.wire.codex_client import is_codex_client
from app.wire.headers import request_headers
from app.wire.peek import peek

_CREATED: Final = b'"response.created"'


class ResponsesPlan(Plan):
    """A plan, and who is told of the response once it is there."""

    note: Note | None = None


class ResponsesSpeaker:
    """Speaks Responses; one for the public routes, one for those of Codex clients."""

    dialect = Dialect.RESPONSES

    def __init__(self, *, models: Models, codex_route: bool, history: History) -> None:
        self._models = models
        self._history = history
        self.codex_route = codex_route

    async def plan(self, asked: Asked) -> ResponsesPlan:
        """Return what a Responses request comes down to."""
        caller = asked.caller
        seen = peek(asked.body)
        said = await retold(asked.body, seen, caller_id=caller.id, history=self._history)
        return self._plan(asked, said)

    def _plan(self, asked: Asked, said: Retold) -> ResponsesPlan:
        caller, seen = asked.caller, said.seen
        resolved = self._models.resolve(seen.model, caller)
        headers = request_headers(asked.head.raw)
        lite = resolved.card.lite if resolved.card else None
        cache_key = seen.prompt_cache_key
        wanted = Wanted(
            upstream_model=resolved.model,
            efforts=resolved.efforts,
            effort=resolved.effort,
            cache_key=isolated(cache_key, caller.id) if cache_key else None,
            codex_client=is_codex_client(headers),
            lite=lite,
        )
        sent = to_upstream_with_delta(said.body, seen, wanted, new=said.new)
        fields = seen.fields
        items = of_input(fields["input"]) if seen.encrypted else ()
        session = session_key(asked.head.raw, cache_key, caller.id)
        if session is None and said.past is not None:
            session = said.past.session
        if session is None:
            hints, turns = fields.get("instructions"), fields.get("input")
            session = seed_key(resolved.model, hints, turns, caller.id)
        call = Call(
            id=asked.head.request_id,
            caller_id=caller.id,
            dialect=self.dialect,
            model=resolved.model,
            body=sent.body,
            headers=isolated_headers(headers, caller.id),
            session_key=session,
            owner_keys=owner_keys(items, caller.id),
            bound_keys=bound_keys(items, caller.id),
            groups=caller.groups,
            tags=caller.tags,
            lite=bool(lite),
            codex_route=self.codex_route,
            uid=asked.uid,
            asked_model=seen.model,
            stream=seen.stream,
            tier="priority" if seen.service_tier == "fast" else seen.service_tier,
            previous_response_id=said.past.response_id if said.past and sent.delta else None,
            delta=sent.delta,
            needs=needs_of(fields, bound=any(item.bound for item in items)),
            tuning=tuning_of(fields),
        )
        model, codex_route = seen.model, self.codex_route
        note = said.turn.note(session) if said.turn else None
        tokens_max = fields.get("max_output_tokens")
        return ResponsesPlan(
            call=call,
            stream=seen.stream,
            output_tokens_max=msgspec.json.decode(tokens_max) if tokens_max else None,
            lane=lambda: ResponsesLane(model=model, codex_route=codex_route, note=note),
            whole=lambda: WholeResponse(note=note),
            note=note,
        )

    def error_body(self, error: GatewayError) -> bytes:
        """Return the error in OpenAI's shape."""
        return error_body(error)


class ResponsesLane:
    """The way of a reply's events to a Responses caller."""

    def __init__(self, *, model: str, codex_route: bool, note: Note | None = None) -> None:
        self._model = model
        self._stream = ResponsesStream(codex_route=codex_route, note=note)
        self._created: bytes | None = None
        self._last: bytes | None = None

    def feed(self, batch: Batch) -> bytes:
        """Return the upstream's own bytes, or what they become on the public routes."""
        if batch.plain:
            self._last = batch.events[-1].data
            return batch.raw
        if tells_overload(batch.raw):
            batch = _softened(batch)
        if self._created is None:
            self._created = next((e.data for e in batch.events if _CREATED in e.data[:64]), None)
        self._last = batch.events[-1].data
        return self._stream.feed(batch.raw, batch.events)

    def finish(self) -> bytes:
        """Owe nothing: the terminal event has been passed on."""
        return b""

    def failed(self, error: GatewayError) -> bytes:
        """Return the `response.failed` that ends a broken stream, numbered as its next event."""
        created = _place(self._created).response
        return error_event(
            error,
            sequence_number=_place(self._last).sequence_number + 1,
            response_id=created.id if created else None,
            model=self._model,
        )


class WholeResponse:
    """The answer of a call that did not ask to stream."""

    def __init__(self, *, note: Note | None = None) -> None:
        self._fold = ResponsesFold(note=note)

    def feed(self, batch: Batch) -> None:
        """Take the next events."""
        self._fold.feed(batch.events)

    def body(self) -> bytes:
        """Return the response object."""
        return self._fold.body()


def _softened(batch: Batch) -> Batch:
    """Return the events without what would end a Codex client for nothing."""
    events = [retryable(event) for event in batch.events]
    return Batch(b"".join(event.raw for event in events), events)


class _Id(Struct):
    id: str | None = None


class _Place(Struct):
    sequence_number: int = -1
    response: _Id | None = None


def _place(data: bytes | None) -> _Place:
    try:
        return msgspec.json.decode(data, type=_Place) if data else _Place()
    except msgspec.DecodeError:
        return _Place()
