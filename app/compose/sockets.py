"""Puts the WebSockets of callers together: what they share, and what makes one."""

from functools import partial

from litestar.handlers import ASGIRouteHandler

from app.compose import parts
from app.compose.gateway import Gateway
from app.edge.company import Pace
from app.edge.dataplane import DataPlane
from app.edge.responses import ResponsesSpeaker
from app.edge.sockets import realtime
from app.edge.sockets.connection import Terms
from app.edge.sockets.handshake import Door, SocketRoute
from app.edge.sockets.machine import SocketBounds
from app.edge.sockets.memory import Memories
from app.limits import Limits
from app.relay.tunnel import Tunnels


class SocketRoutes:
    """Makes the WebSocket routes of one worker."""

    def __init__(self, opened: Gateway, plane: DataPlane, pace: Pace) -> None:
        limits = opened.settings.limits
        self._opened = opened
        self._terms = Terms(plane, opened.sockets, bounds_of(limits), pace)
        self._door = Door(opened.guard, opened.books.till, opened.sockets)
        self._memories = Memories(opened.history, bytes_max=limits.socket_history_bytes_max)

    def route(self, *, codex_route: bool) -> SocketRoute:
        """Return the public route, or that of Codex clients."""
        return SocketRoute(
            door=self._door,
            terms=self._terms,
            memories=self._memories,
            speaker=partial(ResponsesSpeaker, models=self._opened.models, codex_route=codex_route),
            now=self._opened.clock.now,
        )

    def realtime(self) -> list[ASGIRouteHandler]:
        """Return the route of realtime sessions."""
        opened, limits = self._opened, self._opened.settings.limits
        tunnels = Tunnels(
            pool=opened.pool,
            admission=opened.admission,
            pipes=parts.pipes(opened.settings),
            clock=opened.clock,
            observer=opened.observer,
        )
        terms = realtime.Terms(
            door=self._door,
            tunnels=tunnels,
            till=opened.books.till,
            sockets=opened.sockets,
            clock=opened.clock,
            observer=opened.watcher,
            message_bytes_max=limits.socket_message_bytes_max,
            send_timeout_s=limits.send_timeout_s,
        )
        return realtime.routes(terms)


def bounds_of(limits: Limits) -> SocketBounds:
    """Return the bounds of one connection."""
    return SocketBounds(
        first_message_s=limits.socket_first_message_s,
        idle_s=limits.socket_idle_s,
        life_s=limits.socket_life_s,
        messages_per_s=limits.socket_messages_per_s,
        message_bytes_max=limits.socket_message_bytes_max,
    )
