"""`/v1/realtime`: a caller's WebSocket, tied to one of an account whose upstream has such sessions.

Messages go through as they are. A session is one call: it takes an account for as long as it
lasts, and is written down with all that its responses have used.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler, asgi
from litestar.types import Receive, Scope, Send, WebSocketScope
from msgspec import Struct

from app.domain.call import Call, Dialect
from app.domain.caller import Caller
from app.domain.ledger import OK
from app.domain.needs import Need
from app.edge.absent import refuse_websocket
from app.edge.request import Head
from app.edge.sockets.ending import Ending
from app.edge.sockets.handshake import Door, accepted, handshake_head, server_send
from app.edge.sockets.machine import (
    FAILED,
    NORMAL,
    RESTARTING,
    TOO_BIG,
    WRONG_KIND,
    Close,
    State,
)
from app.edge.sockets.registry import Sockets
from app.edge.till import Till
from app.errors import GatewayError, InvalidRequest, PayloadTooLarge
from app.ports import CallObserver, Clock, UpstreamFailure
from app.relay.deadline import Deadline
from app.relay.tunnel import Tunnel, Tunnels
from app.usage.accountant import Ended

logger = logging.getLogger(__name__)

PATH: Final = "/realtime"
BEGINS: Final = b'"response.created"'
ENDS: Final = b'"response.done"'
HEAD_BYTES: Final = 256
"""Where an event's type stands."""
OWN_CODES: Final = range(3000, 5000)
"""Close codes that the upstream may have given a meaning."""


class Terms(Struct, frozen=True):
    """What all sessions have in common."""

    door: Door
    tunnels: Tunnels
    till: Till
    sockets: Sockets
    clock: Clock
    observer: CallObserver
    message_bytes_max: int
    send_timeout_s: float


class RealtimeRoute:
    """Answers the handshakes, and serves what comes of them."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    async def serve(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        """Serve one session, from its handshake to its end."""
        terms, head = self._terms, handshake_head(scope)
        ended: Callable[[int, str], None] | None = None
        tunnel: Tunnel | None = None
        status, code = 200, OK
        try:
            caller = terms.door.admit(head, scope, endpoint=Dialect.REALTIME.value)
            call = self._call(head, caller, _model(scope))
            ended = self._entered(call, caller)
            tunnel = await terms.tunnels.open(call)
            await receive()
            await send(accepted(scope))
            await Session(terms, tunnel, head, receive, server_send(scope, send)).run()
        except GatewayError as error:
            status, code = error.status, error.code
            terms.sockets.traffic.refused += 1
            await refuse_websocket(scope, receive, send, error)
        except Exception:
            status, code = 500, GatewayError.code
            logger.exception("a realtime session failed inside the gateway")
        finally:
            try:
                if tunnel is not None:
                    await tunnel.close()
            finally:
                if ended is not None:
                    ended(status, code)

    def _call(self, head: Head, caller: Caller, model: str) -> Call:
        terms = self._terms
        terms.door.guard.admit(caller, model)
        return Call(
            id=head.request_id,
            caller_id=caller.id,
            dialect=Dialect.REALTIME,
            model=model,
            body=b"",
            groups=caller.groups,
            tags=caller.tags,
            uid=terms.till.open(),
            asked_model=model,
            stream=True,
            live=True,
            needs=frozenset({Need.REALTIME}),
        )

    def _entered(self, call: Call, caller: Caller) -> Callable[[int, str], None]:
        """Take the session's place among the caller's calls; return what is owed at its end."""
        terms, clock = self._terms, self._terms.clock
        at, began_at = clock.now(), clock.monotonic()
        ticket = terms.till.enter(caller)

        def ended(status: int, code: str) -> None:
            seconds = clock.monotonic() - began_at
            book = Ended(
                uid=call.uid,
                at=at,
                request_id=call.id,
                caller_id=caller.id,
                dialect=call.dialect,
                call=call,
                status=status,
                code=code,
                first_event_s=None,
                seconds=seconds,
            )
            terms.till.close(ticket, book)
            terms.observer.call(call.dialect, call, status, code, seconds)

        try:
            terms.till.reserve(ticket, call, None)
        except GatewayError as error:
            ended(error.status, error.code)
            raise
        return ended


class Session(Ending):
    """One session; satisfies `app.edge.sockets.registry.Connected`."""

    def __init__(
        self, terms: Terms, tunnel: Tunnel, head: Head, receive: Receive, send: Send
    ) -> None:
        super().__init__(receive, send, request_id=head.request_id)
        self._terms = terms
        self._tunnel = tunnel
        self._answering = False
        self._draining = False

    @property
    def state(self) -> State:
        """Where it is: busy while the upstream answers."""
        if self._over:
            return State.CLOSING
        return State.BUSY if self._answering else State.IDLE

    async def run(self) -> None:
        """Hand messages both ways until one side ends it."""
        sockets = self._terms.sockets
        self._reader = asyncio.current_task()
        try:
            async with asyncio.TaskGroup() as group:
                down = group.create_task(self._down())
                sockets.enter(self)
                await self._until_over(self._up)
                down.cancel()
            await self._say_farewell()
        finally:
            sockets.leave(self)
            self._count(sockets)

    def drain(self) -> None:
        """End once the upstream has answered."""
        self._draining = True
        if not self._answering:
            self.hurry()

    def hurry(self) -> None:
        """End now."""
        self._end(Close(RESTARTING, "restarting"))

    async def _up(self) -> None:
        """Hand on what the caller says."""
        terms, traffic = self._terms, self._terms.sockets.traffic
        while not self._over:
            message: Any = await self._receive()
            if message["type"] != "websocket.receive":
                self._end()
                return
            traffic.messages_in += 1
            text = message.get("text")
            if text is None:
                error: GatewayError = InvalidRequest("Messages are JSON objects in text frames.")
                self._end(Close(WRONG_KIND, "text frames only", error))
                return
            data = text.encode()
            traffic.bytes_in += len(data)
            if len(data) > terms.message_bytes_max:
                error = PayloadTooLarge(
                    f"A message may have {terms.message_bytes_max} bytes at most."
                )
                self._end(Close(TOO_BIG, "message too big", error))
                return
            try:
                await self._tunnel.send(data)
            except UpstreamFailure:
                self._end(_upstream_end(self._tunnel.code))
                return

    async def _down(self) -> None:
        """Hand on what the upstream says."""
        terms, traffic = self._terms, self._terms.sockets.traffic
        while True:
            try:
                data = await self._tunnel.read()
            except UpstreamFailure:
                self._end(_upstream_end(self._tunnel.code))
                return
            head = data[:HEAD_BYTES]
            if BEGINS in head:
                self._answering = True
            waiting = self._outgoing.put(data.decode("utf-8", "replace"))
            if waiting is not None:
                try:
                    with Deadline(terms.send_timeout_s):
                        await waiting
                except TimeoutError:
                    self._end()
                    return
            traffic.messages_out += 1
            traffic.bytes_out += len(data)
            if ENDS in head:
                self._answering = False
                if self._draining:
                    self.hurry()
                    return


def routes(terms: Terms) -> list[ASGIRouteHandler]:
    """Return the handler of realtime sessions."""
    sessions = RealtimeRoute(terms)

    @asgi([f"/v1{PATH}", PATH], copy_scope=False)
    async def realtime(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.WEBSOCKET:
            text = "Realtime sessions are WebSockets: send an upgrade request."
            raise InvalidRequest(text, status=426)
        await sessions.serve(scope, receive, send)

    return [realtime]


def _model(scope: WebSocketScope) -> str:
    given = parse_qs(scope["query_string"].decode("latin-1")).get("model", [""])[0]
    if not given or len(given) > HEAD_BYTES or not given.isprintable():
        raise InvalidRequest("Missing required parameter: 'model'.", param="model")
    return given


def _upstream_end(code: int | None) -> Close:
    """Return how the caller is told that the upstream has ended it."""
    if code is not None and (code == NORMAL or code in OWN_CODES):
        return Close(code, "closed by the upstream")
    return Close(FAILED, "the upstream's connection is over")
