"""Tests of app.edge.absent."""

import pytest

from app.edge.absent import absent, no_websocket, refuse_websocket
from tests.edge.asgi import Server, scope


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/v1/responses/resp_1", 404), ("DELETE", "/responses/resp_1/", 404),
    ("GET", "/v1/responses/resp_1/input_items", 404), ("GET", "/v1/nothing", 404),
    ("GET", "/v1/responses/resp_1/other", 404), ("GET", "/", 404), ("GET", "*", 404),
])  # fmt: skip
def test_what_is_not_served_is_said_so(method, path, status) -> None:
    """Whatever the method."""
    assert absent(method, path).status == status


def test_a_stored_response_is_not_found_for_a_reason() -> None:
    """Other paths are unknown, and quoted in part."""
    assert "No response is stored" in absent("GET", "/v1/responses/resp_1").message
    unknown = absent("GET", "/v1/" + "x" * 1_000).message
    assert unknown.startswith("Unknown request URL: GET /v1/xxx")
    assert len(unknown) < 300


async def test_a_websocket_is_refused_with_an_answer() -> None:
    """Before it opens, with the id and the body of any other error."""
    server = Server()
    server._incoming.put_nowait({"type": "websocket.connect"})
    given = scope(("x-request-id", "mine"))
    await refuse_websocket(given, server.receive, server.send, no_websocket())
    assert [message["type"] for message in server.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert (server.status, server.headers["x-request-id"]) == (426, "mine")
    assert server.headers["x-codex2api-reason"] == "not_supported_by_upstream"
    assert server.headers["content-length"] == str(len(server.body))
