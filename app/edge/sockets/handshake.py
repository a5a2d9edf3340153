"""Lets callers' WebSockets in: everything that can be said over HTTP is said before the upgrade.

The key stands in a header, or, for callers that can't set one, in the subprotocol that OpenAI's own
API has for it. What the server in front sends back with the upgrade has no headers of ours, so a
refusal is the only answer that has.
"""

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from litestar.types import HTTPScope, Receive, Send, WebSocketScope
from msgspec import Struct, structs

from app.domain.call import Dialect
from app.domain.caller import Caller
from app.edge.absent import refuse_websocket
from app.edge.guards import ANONYMOUS, Guard
from app.edge.request import KEY_BYTES_MAX, Head, read_head
from app.edge.responses import ResponsesSpeaker
from app.edge.sockets.connection import Connection, Terms
from app.edge.sockets.memory import Memories
from app.edge.sockets.outgoing import SERVER_SEND
from app.edge.sockets.registry import Sockets
from app.edge.sockets.speaker import TurnSpeaker
from app.edge.till import Till
from app.errors import GatewayError, NotAllowed
from app.ports import History

logger = logging.getLogger(__name__)

KEY_PROTOCOL: Final = "openai-insecure-api-key."


class MakeSpeaker(Protocol):
    """Makes what speaks Responses with a memory of its own."""

    def __call__(self, *, history: History) -> ResponsesSpeaker:
        """Return it."""


class Door(Struct, frozen=True):
    """Who may come in, and how many."""

    guard: Guard
    till: Till
    sockets: Sockets

    def admit(
        self, head: Head, scope: WebSocketScope, *, endpoint: str = Dialect.RESPONSES.value
    ) -> Caller:
        """Return who connects, or raise why it may not; nothing is taken by it.

        Raises:
            GatewayError: To be said over HTTP, in place of the upgrade.
        """
        if head.flaw is not None:
            raise head.flaw
        caller = self.guard.identify(head.key)
        self.guard.admit_from(caller, cast("HTTPScope", scope))
        self.guard.admit_to(caller, endpoint)
        if caller is ANONYMOUS and _foreign(head):
            raise NotAllowed(
                "A page of another site may not connect to a gateway that needs no key.",
                code="origin_not_allowed",
            )
        self.till.admit(caller)
        self.sockets.admit()
        return caller


class SocketRoute:
    """Responses over WebSocket, on the public routes or on those of Codex clients."""

    def __init__(
        self,
        *,
        door: Door,
        terms: Terms,
        memories: Memories,
        speaker: MakeSpeaker,
        now: Callable[[], float],
    ) -> None:
        """Take what makes a speaker that has this memory."""
        self._door = door
        self._terms = terms
        self._memories = memories
        self._speaker = speaker
        self._now = now

    async def serve(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        """Serve one connection, from its handshake to its end."""
        head = handshake_head(scope)
        try:
            self._door.admit(head, scope)
        except GatewayError as error:
            self._terms.sockets.traffic.refused += 1
            await refuse_websocket(scope, receive, send, error)
            return
        await receive()
        await send(accepted(scope))
        memory = self._memories.open()
        speaker = TurnSpeaker(self._speaker(history=memory), now=self._now)
        try:
            await Connection(self._terms, speaker, head, receive, server_send(scope, send)).run()
        except Exception:
            # The server cuts the connection; a turn that failed has said so itself.
            logger.exception("a WebSocket failed inside the gateway")
        finally:
            memory.close()


def handshake_head(scope: WebSocketScope) -> Head:
    """Return the head of an upgrade request, with the key from wherever it stands."""
    head = read_head(cast("HTTPScope", {**scope, "method": "GET"}))
    if head.key is not None:
        return head
    for name in offered(scope):
        if name.startswith(KEY_PROTOCOL):
            key = name[len(KEY_PROTOCOL) :][:KEY_BYTES_MAX]
            return structs.replace(head, key=key or None)
    return head


def offered(scope: WebSocketScope) -> list[str]:
    """Return the subprotocols that the caller offers."""
    values = [value for name, value in scope["headers"] if name == b"sec-websocket-protocol"]
    return [each.strip() for value in values for each in value.decode("latin-1").split(",")]


def accepted(scope: WebSocketScope) -> Any:
    """Return what accepts a connection: browsers want one of the subprotocols that they offered."""
    names = [name for name in offered(scope) if name]
    harmless = [name for name in names if not name.startswith(KEY_PROTOCOL)]
    chosen = next(iter(harmless or names), None)
    return {"type": "websocket.accept", "subprotocol": chosen, "headers": []}


def server_send(scope: WebSocketScope, send: Send) -> Send:
    """Return what hands messages to the server itself; `send` where there is nothing else."""
    own: Send = cast("dict[str, Any]", scope).get(SERVER_SEND, send)
    return own


def _foreign(head: Head) -> bool:
    """Tell whether a browser says that a page of another site connects."""
    origin = head.find(b"origin")
    return origin is not None and origin.partition("://")[2] != head.find(b"host")
