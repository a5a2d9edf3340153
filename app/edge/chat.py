"""`POST /v1/chat/completions`: translated to Responses, and the reply back."""

from collections.abc import Callable
from secrets import token_hex

from msgspec import structs

from app.dialects.chat.errors import error_body, error_event
from app.dialects.chat.options import service_tier
from app.dialects.chat.replies import ChatFold, ChatStream
from app.dialects.chat.requests import ChatCall, decode, to_responses
from app.dialects.chat.tuning import tuning_of
from app.domain.call import Call, Dialect
from app.edge.affinity import isolated, isolated_headers, session_key
from app.edge.models import Models
from app.edge.plans import Asked, Plan
from app.edge.seed import seed_key
from app.errors import GatewayError
from app.relay.reply import Batch
from app.wire.headers import request_headers
from app.wire.peek import peek


class ChatSpeaker:
    """Speaks Chat Completions."""

    dialect = Dialect.CHAT
    codex_route = False

    def __init__(self, *, models: Models, now: Callable[[], float]) -> None:
        self._models = models
        self._now = now

    async def plan(self, asked: Asked) -> Plan:
        """Return what a chat request comes down to."""
        caller = asked.caller
        seen = peek(asked.body)
        request = decode(asked.body)
        resolved = self._models.resolve(request.model, caller)
        if resolved.effort is not None and request.reasoning_effort is None:
            request = structs.replace(request, reasoning_effort=resolved.effort)
        cache_key = request.prompt_cache_key
        chat = to_responses(
            request,
            upstream_model=resolved.model,
            efforts=resolved.efforts,
            cache_key=isolated(cache_key, caller.id) if cache_key else None,
        )
        session = session_key(asked.head.raw, cache_key, caller.id)
        if session is None:
            session = seed_key(resolved.model, None, seen.fields.get("messages"), caller.id)
        call = Call(
            id=asked.head.request_id,
            caller_id=caller.id,
            dialect=self.dialect,
            model=resolved.model,
            body=chat.body,
            headers=isolated_headers(request_headers(asked.head.raw), caller.id),
            session_key=session,
            groups=caller.groups,
            tags=caller.tags,
            uid=asked.uid,
            asked_model=request.model,
            stream=chat.stream,
            tier=service_tier(request),
            tuning=tuning_of(seen.fields),
        )
        answer_id, created_at = f"chatcmpl-{token_hex(12)}", int(self._now())
        chat = structs.replace(chat, body=b"")
        return Plan(
            call=call,
            stream=chat.stream,
            output_tokens_max=request.max_completion_tokens or request.max_tokens,
            lane=lambda: ChatLane(chat, id=answer_id, created_at=created_at),
            whole=lambda: WholeChat(chat, id=answer_id, created_at=created_at),
        )

    def error_body(self, error: GatewayError) -> bytes:
        """Return the error in OpenAI's shape."""
        return error_body(error)


class ChatLane:
    """The way of a reply's events to a chat caller."""

    def __init__(self, chat: ChatCall, *, id: str, created_at: int) -> None:
        self._stream = ChatStream(call=chat, id=id, created_at=created_at)

    def feed(self, batch: Batch) -> bytes:
        """Return the chunks that the events give rise to."""
        stream = self._stream
        said = [
            stream.more_text(event.text) if event.text else stream.feed(event.data)
            for event in batch.events
        ]
        return said[0] if len(said) == 1 else b"".join(said)

    def finish(self) -> bytes:
        """Return usage, if asked for, and `[DONE]`; or the error that the upstream told of."""
        return self._stream.finish()

    def failed(self, error: GatewayError) -> bytes:
        """Return the error event that ends a broken stream; there is no `[DONE]` after it."""
        return error_event(error)


class WholeChat:
    """The answer of a call that did not ask to stream."""

    def __init__(self, chat: ChatCall, *, id: str, created_at: int) -> None:
        self._fold = ChatFold(call=chat, id=id, created_at=created_at)

    def feed(self, batch: Batch) -> None:
        """Take the next events."""
        for event in batch.events:
            self._fold.feed(event.data)

    def body(self) -> bytes:
        """Return the chat completion."""
        return self._fold.to_completion()
