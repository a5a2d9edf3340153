"""Tests of app.edge.sockets.handshake."""

import json
import logging
from functools import partial
from typing import Any

import pytest

from app.domain.caller import Allowance, Caller, KeyId
from app.edge.calls import route
from app.edge.company import Pace
from app.edge.guards import Guard
from app.edge.models import Models
from app.edge.responses import ResponsesSpeaker
from app.edge.sockets.connection import Terms
from app.edge.sockets.handshake import Door, SocketRoute, accepted, handshake_head
from app.edge.sockets.machine import SocketBounds
from app.edge.sockets.memory import Memories
from app.edge.sockets.registry import Sockets
from tests.edge.application import application, complete
from tests.edge.asgi import CALLER, KEY, Callers, scope
from tests.edge.books import Books
from tests.edge.sockets.peer import Peer
from tests.edge.sockets.test_connection import Plane, echo, fail
from tests.fakes.clock import FakeClock
from tests.fakes.history import memory_history

PATH = "/v1/responses"
BEARER = ("authorization", f"Bearer {KEY}")


def upgrade(*headers: tuple[str, str], client: str = "127.0.0.1") -> Any:
    """Return the scope of an upgrade request, as Granian makes it: without a method."""
    asked = complete(scope(*headers, method="GET", path=PATH))
    del asked["method"]
    return asked | {
        "type": "websocket",
        "scheme": "ws",
        "subprotocols": [],
        "client": (client, 1),
        "extensions": {"websocket.http.response": {}},
    }


class Scene:
    """A route with everything behind it faked."""

    def __init__(self, caller: Caller = CALLER, *, anonymous: bool = False, answer=echo) -> None:
        clock = FakeClock()
        self.books = Books(clock)
        self.sockets = Sockets(connections_max=2)
        self.memories = Memories(memory_history(), bytes_max=1_000)
        guard = Guard(callers=Callers([(KEY, caller)]), clock=clock, allow_anonymous=anonymous)
        plane = self.plane = Plane(answer)
        self.route = SocketRoute(
            door=Door(guard, self.books.till, self.sockets),
            terms=Terms(plane, self.sockets, SocketBounds(), Pace(60.0, 60.0, 60.0)),
            memories=self.memories,
            speaker=partial(ResponsesSpeaker, models=Models(guard=guard), codex_route=False),
            now=clock.now,
        )

    async def connect(self, asked: Any, peer: Peer | None = None) -> Peer:
        """Serve one connection, through the application."""
        peer = peer or Peer()
        peer.leaves()
        handlers = [route([PATH], None, None, self.route)]
        await application(handlers)(asked, peer.receive, peer.send)
        return peer


@pytest.mark.parametrize("headers", [
    [BEARER],
    [("x-api-key", KEY)],
    [("sec-websocket-protocol", f"realtime, openai-insecure-api-key.{KEY}")],
    [BEARER, ("sec-websocket-protocol", "openai-insecure-api-key.sk-other")],
])  # fmt: skip
async def test_a_key_opens_wherever_it_stands(headers) -> None:
    """A header goes before the subprotocol; turns are made with it."""
    scene, peer = Scene(), Peer()
    peer.asks()
    await scene.connect(upgrade(*headers), peer)
    assert peer.sent[0]["type"] == "websocket.accept"
    assert len(peer.heard) == len(scene.plane.turns) == 1
    assert (scene.sockets.traffic.opened, scene.sockets.traffic.refused) == (1, 0)
    assert handshake_head(upgrade(*headers)).key == KEY


LIMITED = Caller(KeyId("key-1"), "tests", allowance=Allowance(requests_per_minute=1))
ELSEWHERE = Caller(KeyId("key-1"), "tests", networks=("10.0.0.0/8",))
CHATTER = Caller(KeyId("key-1"), "tests", endpoints=("chat",))


@pytest.mark.parametrize(("caller", "headers", "status", "code"), [
    (CALLER, [], 401, "invalid_api_key"),
    (CALLER, [("authorization", "Bearer sk-wrong")], 401, "invalid_api_key"),
    (CALLER, [("sec-websocket-protocol", "openai-insecure-api-key.")], 401, "invalid_api_key"),
    (CALLER, [BEARER, ("host", "other")], 400, "invalid_request"),
    (ELSEWHERE, [BEARER], 403, "network_not_allowed"),
    (CHATTER, [BEARER], 403, "endpoint_not_allowed"),
    (LIMITED, [BEARER], 429, "rate_limit_exceeded"),
])  # fmt: skip
async def test_who_may_not_come_in_is_told_over_http(caller, headers, status, code) -> None:
    """Before the upgrade, and with all that an HTTP answer has."""
    scene = Scene(caller)
    if caller is LIMITED:
        scene.books.till.enter(caller)
    [head, body] = (await scene.connect(upgrade(*headers))).sent
    told = {name.decode(): value.decode() for name, value in head["headers"]}
    assert (head["type"], head["status"]) == ("websocket.http.response.start", status)
    assert json.loads(body["body"])["error"]["code"] == code == told["x-codex2api-reason"]
    assert told["content-length"] == str(len(body["body"]))
    assert told["x-request-id"].startswith("req_")
    assert ("retry-after" in told) == (status == 429)
    assert (scene.sockets.traffic.opened, scene.sockets.traffic.refused) == (0, 1)


async def test_a_full_or_draining_gateway_says_so() -> None:
    """503, with a time to come back."""
    scene = Scene()
    scene.sockets._live = dict.fromkeys(range(2))
    assert (await scene.connect(upgrade(BEARER))).sent[0]["status"] == 503
    scene.sockets._live.clear()
    scene.sockets.drain()
    assert (await scene.connect(upgrade(BEARER))).sent[0]["status"] == 503


@pytest.mark.parametrize(("headers", "status"), [
    ([("origin", "https://evil.example")], 403),
    ([("origin", "null")], 403),
    ([("origin", "http://gateway")], None),
    ([], None),
    ([BEARER, ("origin", "https://app.example")], None),
])  # fmt: skip
async def test_a_page_of_another_site_needs_a_key(headers, status) -> None:
    """A gateway without keys listens to its own machine, and so does every page open on it."""
    peer = await Scene(anonymous=True).connect(upgrade(*headers))
    assert peer.sent[0].get("status") == status


@pytest.mark.parametrize(("offers", "chosen"), [
    ([], None),
    (["realtime, openai-insecure-api-key.x"], "realtime"),
    (["openai-insecure-api-key.x", "a,b"], "a"),
    (["openai-insecure-api-key.x"], "openai-insecure-api-key.x"),
    ([" "], None),
])  # fmt: skip
def test_a_browser_gets_one_of_its_subprotocols(offers, chosen) -> None:
    """The key is said back only where there is nothing else."""
    asked = upgrade(*(("sec-websocket-protocol", offer) for offer in offers))
    assert accepted(asked)["subprotocol"] == chosen


async def test_a_defect_is_a_line_in_the_log(caplog) -> None:
    """The server cuts the connection; nothing of it stays behind."""

    async def defect(*_: Any) -> None:
        raise RuntimeError("secret")

    scene, peer = Scene(answer=defect), Peer()
    peer.asks()
    with caplog.at_level(logging.ERROR):
        await scene.connect(upgrade(BEARER), peer)
    assert len(caplog.records) == 1
    assert (len(scene.sockets), scene.memories.size) == (0, 0)


async def test_a_refused_turn_is_no_defect() -> None:
    """It closes the connection as it should."""
    scene, peer = Scene(answer=fail), Peer()
    peer.asks()
    await scene.connect(upgrade(BEARER), peer)
    assert scene.sockets.traffic.closed in ({0: 1}, {1011: 1})
