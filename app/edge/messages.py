"""`POST /v1/messages`: Anthropic's Messages, translated to Responses, and the reply back."""

import re
from secrets import token_hex
from typing import Final

import msgspec
from msgspec import Struct, structs

from app.dialects.messages.errors import error_body, error_event
from app.dialects.messages.options import service_tier, tuning
from app.dialects.messages.replies import MessagesFold, MessagesStream
from app.dialects.messages.requests import MessagesCall, decode, to_responses
from app.dialects.messages.schema import MessagesRequest
from app.dialects.messages.violations import wrong
from app.dialects.responses.encrypted import of_input
from app.domain.call import Call, Dialect
from app.domain.needs import NOTHING, Need
from app.edge.affinity import isolated, isolated_headers, owner_keys, session_key
from app.edge.models import Models
from app.edge.plans import Asked, Plan
from app.edge.request import Head
from app.edge.seed import seed_key
from app.errors import GatewayError
from app.relay.reply import Batch
from app.wire.headers import request_headers
from app.wire.peek import peek

_SESSION_HEADERS: Final = (b"x-claude-code-session-id", b"x-claude-code-agent-id")
_SESSION: Final = re.compile(r"_session_([0-9a-fA-F-]{36})\Z")


class MessagesSpeaker:
    """Speaks Messages."""

    dialect = Dialect.MESSAGES
    codex_route = False

    def __init__(self, *, models: Models) -> None:
        self._models = models

    async def plan(self, asked: Asked) -> Plan:
        """Return what a Messages request comes down to."""
        caller = asked.caller
        seen = peek(asked.body)
        request = decode(asked.body)
        if request.max_tokens is None:
            raise wrong("max_tokens", "Field required")
        resolved = self._models.resolve_claude(request.model, caller)
        cache_key = session_of(asked.head, request)
        said = to_responses(
            request,
            upstream_model=resolved.model,
            efforts=resolved.efforts,
            effort=resolved.effort,
            cache_key=isolated(cache_key, caller.id) if cache_key else None,
        )
        sealed = of_input(_input(said.body))
        session = session_key(asked.head.raw, cache_key, caller.id)
        if session is None:
            fields = seen.fields
            told, turns = fields.get("system"), fields.get("messages")
            session = seed_key(resolved.model, told, turns, caller.id)
        call = Call(
            id=asked.head.request_id,
            caller_id=caller.id,
            dialect=self.dialect,
            model=resolved.model,
            body=said.body,
            headers=isolated_headers(request_headers(asked.head.raw), caller.id),
            session_key=session,
            owner_keys=owner_keys(sealed, caller.id),
            groups=caller.groups,
            tags=caller.tags,
            uid=asked.uid,
            asked_model=request.model,
            stream=bool(request.stream),
            tier=service_tier(request),
            needs=frozenset({Need.SEARCH}) if said.insists_on_search else NOTHING,
            tuning=tuning(request),
        )
        answer_id, request_id = f"msg_{token_hex(12)}", asked.head.request_id
        said = structs.replace(said, body=b"")
        return Plan(
            call=call,
            stream=call.stream,
            output_tokens_max=request.max_tokens,
            lane=lambda: MessagesLane(said, id=answer_id, request_id=request_id),
            whole=lambda: WholeMessage(said, id=answer_id),
        )

    def error_body(self, error: GatewayError) -> bytes:
        """Return the error in Anthropic's shape."""
        return error_body(error)


class MessagesLane:
    """The way of a reply's events to a Messages caller."""

    def __init__(self, said: MessagesCall, *, id: str, request_id: str) -> None:
        self._stream = MessagesStream(call=said, id=id, request_id=request_id)
        self._request_id = request_id

    def feed(self, batch: Batch) -> bytes:
        """Return the events that the upstream's events give rise to."""
        events = batch.events
        if len(events) == 1:
            return self._stream.feed(events[0].data)
        return b"".join([self._stream.feed(event.data) for event in events])

    def finish(self) -> bytes:
        """Return nothing more, or the error that the upstream told of."""
        return self._stream.finish()

    def failed(self, error: GatewayError) -> bytes:
        """Return the error event that ends a broken stream."""
        return error_event(error, self._request_id)


class WholeMessage:
    """The answer of a call that did not ask to stream."""

    def __init__(self, said: MessagesCall, *, id: str) -> None:
        self._fold = MessagesFold(call=said, id=id)

    def feed(self, batch: Batch) -> None:
        """Take the next events."""
        for event in batch.events:
            self._fold.feed(event.data)

    def body(self) -> bytes:
        """Return the message."""
        return self._fold.to_message()


def session_of(head: Head, request: MessagesRequest) -> str | None:
    """Return the name of the caller's session, if it tells one; a sub-agent has one of its own.

    Claude Code tells it in headers, and before it did at the end of the user's id, as text or as
    JSON. Any other user's id is a person, who has many sessions.
    """
    named = [value for name in _SESSION_HEADERS if (value := head.find(name))]
    if named:
        return ":".join(named)
    user_id = request.metadata.user_id if request.metadata else None
    if not user_id:
        return None
    if found := _SESSION.search(user_id):
        return found[1]
    try:
        return msgspec.json.decode(user_id, type=_UserId).session_id
    except msgspec.DecodeError:
        return None


class _UserId(Struct):
    """A user's id that is more than one."""

    session_id: str | None = None


class _Input(Struct):
    input: msgspec.Raw


def _input(body: bytes) -> msgspec.Raw:
    return msgspec.json.decode(body, type=_Input).input
