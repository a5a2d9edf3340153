"""Tests of app.edge.calls."""

from typing import Any

from litestar import Litestar, get

from app.edge.calls import route, straight
from tests.edge.asgi import Server, scope


class Plane:
    """Remembers what it is given to serve."""

    def __init__(self) -> None:
        self.served: list[Any] = []

    async def serve(self, *given: Any) -> None:
        """Keep it."""
        self.served.append(given)


async def test_a_request_goes_to_the_plane_with_its_speaker() -> None:
    """As it is."""
    plane, server, speaker = Plane(), Server(), object()
    handler = route(["/v1/responses"], speaker, plane)
    given = scope()
    await handler.fn(given, server.receive, server.send)
    assert plane.served == [(speaker, given, server.receive, server.send)]
    assert handler.paths == {"/v1/responses"}


async def test_a_websocket_is_told_to_use_http() -> None:
    """426 is what makes a Codex client do so."""
    plane, server = Plane(), Server()
    server._incoming.put_nowait({"type": "websocket.connect"})
    handler = route(["/v1/responses"], object(), plane)
    await handler.fn(scope() | {"type": "websocket"}, server.receive, server.send)
    assert (server.status, plane.served) == (426, [])


async def test_calls_need_not_pass_the_frameworks_layers() -> None:
    """What is registered is found by its path; nothing else is."""
    plane, server, speaker = Plane(), Server(), object()

    @get("/health")
    async def health() -> None:
        """Answer."""

    handlers = [route(["/responses", "/v1/responses"], speaker, plane), health]
    calls = straight(Litestar(handlers, openapi_config=None))
    assert set(calls) == {"/responses", "/v1/responses"}
    given = scope()
    await calls["/v1/responses"](given, server.receive, server.send)
    assert plane.served == [(speaker, given, server.receive, server.send)]
