"""`POST /v1/completions`: the legacy API, translated to Responses and back."""

from collections.abc import Callable
from secrets import token_hex

from msgspec import structs

from app.dialects.chat.errors import error_body, error_event
from app.dialects.completions.replies import CompletionFold, CompletionStream
from app.dialects.completions.requests import CompletionCall, decode, to_responses
from app.domain.call import Call, Dialect
from app.edge.affinity import isolated_headers, session_key
from app.edge.models import Models
from app.edge.plans import Asked, Plan
from app.edge.seed import seed_key
from app.errors import GatewayError
from app.relay.reply import Batch
from app.wire.headers import request_headers
from app.wire.peek import peek


class CompletionsSpeaker:
    """Speaks legacy Completions."""

    dialect = Dialect.COMPLETIONS
    codex_route = False

    def __init__(self, *, models: Models, now: Callable[[], float]) -> None:
        self._models = models
        self._now = now

    async def plan(self, asked: Asked) -> Plan:
        """Return what a completions request comes down to."""
        caller, raw = asked.caller, asked.head.raw
        seen = peek(asked.body)
        request = decode(asked.body)
        resolved = self._models.resolve(request.model, caller)
        completion = to_responses(
            request, seen.fields, upstream_model=resolved.model, effort=resolved.effort
        )
        session = session_key(raw, None, caller.id)
        if session is None:
            session = seed_key(resolved.model, None, seen.fields.get("prompt"), caller.id)
        call = Call(
            id=asked.head.request_id,
            caller_id=caller.id,
            dialect=self.dialect,
            model=resolved.model,
            body=completion.body,
            headers=isolated_headers(request_headers(raw), caller.id),
            session_key=session,
            groups=caller.groups,
            tags=caller.tags,
            uid=asked.uid,
            asked_model=request.model,
            stream=completion.stream,
            tuning=completion.tuning,
        )
        answer_id, created_at = f"cmpl-{token_hex(12)}", int(self._now())
        completion = structs.replace(completion, body=b"")
        return Plan(
            call=call,
            stream=completion.stream,
            output_tokens_max=completion.max_tokens,
            lane=lambda: CompletionLane(completion, id=answer_id, created_at=created_at),
            whole=lambda: WholeCompletion(completion, id=answer_id, created_at=created_at),
        )

    def error_body(self, error: GatewayError) -> bytes:
        """Return the error in OpenAI's shape."""
        return error_body(error)


class CompletionLane:
    """The way of a reply's events to the caller."""

    def __init__(self, call: CompletionCall, *, id: str, created_at: int) -> None:
        self._stream = CompletionStream(call=call, id=id, created_at=created_at)

    def feed(self, batch: Batch) -> bytes:
        """Return the chunks that the events give rise to."""
        return b"".join([self._stream.feed(event.data) for event in batch.events])

    def finish(self) -> bytes:
        """Return usage, if asked for, and `[DONE]`; or the error that the upstream told of."""
        return self._stream.finish()

    def failed(self, error: GatewayError) -> bytes:
        """Return the error event that ends a broken stream; there is no `[DONE]` after it."""
        return error_event(error)


class WholeCompletion:
    """The answer of a call that did not ask to stream."""

    def __init__(self, call: CompletionCall, *, id: str, created_at: int) -> None:
        self._fold = CompletionFold(call=call, id=id, created_at=created_at)

    def feed(self, batch: Batch) -> None:
        """Take the next events."""
        for event in batch.events:
            self._fold.feed(event.data)

    def body(self) -> bytes:
        """Return the completion."""
        return self._fold.body()
