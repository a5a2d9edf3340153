"""Responses over WebSocket, asked by the websockets library."""

import asyncio

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.loadtests.simulator.peer import CODEX, prompt, sim, until

BETA = {"OpenAI-Beta": "responses_websockets=2026-02-06"}
USER = {"role": "user", "content": [{"type": "input_text", "text": "echo: more"}]}
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}


@pytest.fixture
def dial(simulator, peer):
    """Open a socket as the first account."""

    def open_socket(**options):
        options.setdefault("compression", None)
        return connect(
            f"ws://127.0.0.1:{simulator.port}{CODEX}",
            additional_headers={**peer.headers, **BETA},
            max_size=None,
            **options,
        )

    return open_socket


async def say(socket, text: str, **more) -> None:
    """Send a turn."""
    await socket.send(orjson.dumps({"type": "response.create", **prompt(text), **more}).decode())


async def heard(socket) -> list[dict]:
    """Return the events up to the terminal or an error."""
    events = []
    while True:
        events.append(orjson.loads(await socket.recv()))
        kind = events[-1]["type"]
        if kind in {"response.completed", "response.failed", "response.done", "error"}:
            return events


def text_of(events: list[dict]) -> str:
    """Return the text of the deltas."""
    return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


async def test_turns_follow_each_other(simulator, dial):
    """Two turns on one socket, both in the ledger, no violation."""
    async with dial() as socket:
        for text in ("one", "two"):
            await say(socket, f"echo: {text}")
            assert text_of(await heard(socket)) == text
        assert "x-codex-turn-state" in socket.response.headers
    records = list(simulator.world.ledger.records)[:2]
    assert [record.transport for record in records] == ["ws", "ws"]
    assert all(record.terminal == "completed" and record.body_bytes for record in records)
    assert not simulator.world.ledger.violations
    assert simulator.world.gauges.handshakes == 1


async def test_a_delta_continues_on_the_same_socket_only(dial):
    """The latest response is known here and nowhere else; a failure evicts it."""
    async with dial() as socket, dial() as other:
        await say(socket, "weather", tools=[TOOL])
        events = await heard(socket)
        response_id = events[-1]["response"]["id"]
        item = next(e["item"] for e in events if e["type"] == "response.output_item.done")
        delta = {"type": "function_call_output", "call_id": item["call_id"], "output": "rain"}
        more = {"previous_response_id": response_id, "input": [delta]}
        await say(other, "", **more)
        (error,) = await heard(other)
        assert error["error"]["code"] == "previous_response_not_found"
        await say(socket, "", **more)
        assert "rain" in text_of(await heard(socket))
        await say(socket, sim(terminal="failed"))
        failed = await heard(socket)
        await say(socket, "", previous_response_id=failed[-1]["response"]["id"], input=[USER])
        assert (await heard(socket))[-1]["type"] == "error"


async def test_a_warm_up_generates_nothing(dial):
    """Created and completed, without an item."""
    async with dial() as socket:
        await say(socket, "x", generate=False)
        kinds = [event["type"] for event in await heard(socket)]
    assert kinds[-3:] == ["response.created", "response.in_progress", "response.completed"]


async def test_two_turns_at_once_are_a_violation(simulator, dial):
    """They are queued all the same, or refused when the knob says so."""
    async with dial() as socket:
        await say(socket, sim("echo: first", ttft_ms=50))
        await say(socket, "echo: second")
        assert text_of(await heard(socket)) == "first"
        assert text_of(await heard(socket)) == "second"
    assert simulator.world.ledger.violations[0].kind == "two_turns_on_a_socket"
    simulator.control(base={"ws_busy": "error"})
    async with dial() as socket:
        await say(socket, sim("echo: first", ttft_ms=50))
        await say(socket, "echo: second")
        assert (await heard(socket))[-1]["error"]["code"] == "busy"
        assert text_of(await heard(socket)) == "first"


@pytest.mark.parametrize("status", [401, 402, 403, 426, 429, 503])
async def test_handshakes_can_be_refused(simulator, dial, status):
    """With the body that HTTP would have had."""
    simulator.control(base={"ws_status": status})
    with pytest.raises(InvalidStatus) as refused:
        async with dial():
            pass
    assert refused.value.response.status_code == status


async def test_handshakes_are_throttled(simulator, dial):
    """More than N a minute are 429."""
    simulator.control(base={"ws_handshakes_per_min": 1})
    async with dial():
        pass
    with pytest.raises(InvalidStatus):
        async with dial():
            pass


SHAPES = {
    "nested": lambda frame: frame["error"]["code"] and frame["status"] and frame["headers"],
    "body": lambda frame: frame["body"]["error"]["code"] and frame["status"],
    "flat": lambda frame: frame["code"] and frame["status_code"] and frame["error_type"],
    "no_status": lambda frame: frame["error"]["code"] and "status" not in frame,
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_error_frames_have_many_shapes(dial, shape):
    """The same refusal in each of them."""
    async with dial() as socket:
        await say(socket, sim(fault="503_overloaded", ws_error_shape=shape))
        (frame,) = await heard(socket)
    assert SHAPES[shape](frame)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1009, 1011, 1012])
async def test_closes_after_an_event(dial, code):
    """With any code; 1006 is a broken connection."""
    async with dial() as socket:
        await say(socket, sim(ws_close_after_events=4, ws_close_code=code))
        with pytest.raises(ConnectionClosed) as closed:
            await heard(socket)
    assert (closed.value.rcvd.code if closed.value.rcvd else 1006) == code


@pytest.mark.parametrize("mode", ["fin", "rst"])
async def test_cuts_without_a_close_frame(simulator, dial, mode):
    """The transport just ends."""
    async with dial() as socket:
        await say(socket, sim(cut_after_events=3, cut_mode=mode))
        with pytest.raises(ConnectionClosed):
            await heard(socket)
    assert simulator.world.ledger.records[0].terminal is None


async def test_a_message_that_is_too_big_closes_with_1009(simulator, dial):
    """The ceiling is a knob."""
    simulator.control(base={"ws_message_bytes_max": 2000})
    async with dial() as socket:
        await say(socket, "x" * 3000)
        with pytest.raises(ConnectionClosed) as closed:
            await heard(socket)
    assert closed.value.sent.code == 1009 or closed.value.rcvd.code == 1009


async def test_an_old_socket_says_so_and_still_answers_pings(simulator, dial):
    """`websocket_connection_limit_reached`, and then only that."""
    simulator.control(base={"ws_lifetime_s": 0.05})
    async with dial() as socket:
        (frame,) = await heard(socket)
        assert frame["error"]["code"] == "websocket_connection_limit_reached"
        await (await socket.ping())
        await say(socket, "x")
        assert (await heard(socket))[0]["type"] == "error"


async def test_pongs_can_be_withheld(simulator, dial):
    """A socket that looks dead."""
    simulator.control(base={"ws_pong": False})
    async with dial() as socket:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(await socket.ping(), 0.05)


async def test_frames_of_other_kinds(simulator, dial):
    """Fragments, a binary frame, idle frames, lanes, compression."""
    simulator.control(base={"ws_fragment_bytes": 50, "ws_idle_frames": 2})
    async with dial() as socket:
        await say(socket, "echo: split", stream_id="lane-1")
        events = await heard(socket)
        assert text_of(events) == "split"
        assert {event["stream_id"] for event in events} == {"lane-1"}
        idle = [orjson.loads(await socket.recv()) for _ in range(2)]
        assert {event["type"] for event in idle} == {"codex.rate_limits"}
    simulator.control(base={"ws_fragment_bytes": None, "ws_idle_frames": None})
    async with dial() as socket:
        await say(socket, sim(ws_binary_at=0))
        assert isinstance(await socket.recv(), bytes)
        await heard(socket)
    simulator.control(base={"ws_deflate": True})
    async with dial(compression="deflate") as socket:
        await say(socket, "echo: small")
        assert text_of(await heard(socket)) == "small"
        assert socket.response.headers["sec-websocket-extensions"].startswith("permessage")


async def test_bad_messages_are_answered(dial):
    """Broken JSON, other types, broken rules, wrong knobs; the socket stays."""
    async with dial() as socket:
        for message in ("{", '{"type":"response.append"}', "[]"):
            await socket.send(message)
            assert (await heard(socket))[0]["status"] == 400
        await say(socket, "x", temperature=1)
        assert "Unsupported parameter" in str(await heard(socket))
        await say(socket, sim(nonsense=1))
        assert "bad_sim_knobs" in str(await heard(socket))
        await socket.send('{"type":"response.processed","response_id":"r"}')
        await say(socket, "echo: fine")
        assert text_of(await heard(socket)) == "fine"


async def test_a_client_that_leaves_is_noticed(simulator, dial):
    """In the middle of a turn."""
    async with dial() as socket:
        await say(socket, sim(deltas=10_000, events_per_s=100))
        await socket.recv()
        socket.transport.abort()
    await until(lambda: not simulator.world.gauges.sockets_open)
    assert simulator.world.ledger.records[0].client_disconnected
    assert simulator.world.accounts.by_id["acct-1"].in_flight == 0
