"""The Codex backend by either way, and every way in which a socket can fail, over real sockets."""

import asyncio
import json

import pytest
from msgspec import structs

from app.domain.account import AccountKind, Secret
from app.domain.operation import Operation
from app.domain.runtime import UpstreamTransport
from app.ports import UpstreamFailure
from app.upstream.codex import has_session, wanted
from app.upstream.sockets import life
from app.upstream.sockets.pool import Bounds
from tests.fakes.accounts import call
from tests.upstream.sockets.rig import body, rig, until

SESSION = (("session-id", "s"),)


@pytest.mark.parametrize(
    ("transport", "asked", "expected"),
    [
        ("http", call(), False),
        ("http", call(headers=SESSION), False),
        ("http", call(live=True), True),
        ("auto", call(), False),
        ("auto", call(headers=SESSION), True),
        ("auto", call(headers=(("session_id", "s"),)), True),
        ("auto", call(live=True), True),
        ("websocket", call(), True),
    ],
)
def test_which_calls_sockets_should_carry(transport, asked, expected):
    """Those of callers on sockets always; the others as the operator wants it."""
    assert wanted(UpstreamTransport(transport), asked) is expected
    assert has_session(asked.headers) is bool(asked.headers)


async def test_turns_follow_each_other_on_one_socket():
    """The second needs no handshake."""
    async with rig() as at:
        for _ in range(3):
            messages = await at.turn()
            assert json.loads(messages[-1])["type"] == "response.completed"
        assert at.simulator.world.gauges.handshakes == 1
        assert at.sockets.turns == {"fresh": 1, "reused": 2}
        assert at.sockets.states() == {"idle": 1, "busy": 0}
        assert at.transports == ["ws"] * 3
        assert not at.violations
    assert at.sockets.connections() == {"dialling": 0, "open": 0, "closing": 0}
    assert at.sockets.cleanups == {"drain": 1}
    assert at.sockets.entries == 0


async def test_http_is_the_default_and_carries_what_sockets_can_not():
    """Other kinds of accounts and other operations never see a socket."""
    async with rig(transport="http") as at:
        await at.turn()
        assert at.transports == ["http"]
        at.upstream.transport = UpstreamTransport.WEBSOCKET
        other = structs.replace(at.account(), kind=AccountKind.OPENAI)
        with pytest.raises(UpstreamFailure):
            await at.upstream.send(other, at.call())
        document = structs.replace(at.call(), operation=Operation.COMPACT)
        await (await at.upstream.send(at.account(), document)).abort()
        assert not at.sockets.handshakes


async def test_two_callers_never_share_a_socket():
    """Nor do two generations of a credential."""
    async with rig() as at:
        await at.turn(at.call(caller="key-1"))
        await at.turn(at.call(caller="key-2"))
        assert at.sockets.turns == {"fresh": 2}
        await at.turn(at.call(caller="key-1"), at.account(generation=1))
        assert at.sockets.turns == {"fresh": 3}
        assert at.sockets.cleanups == {"credential": 2}


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        ({"ws_status": 426}, "no_sockets"),
        ({"ws_status": 502}, "failed"),
        ({"ws_status": 307}, "failed"),
        ({"ws_handshakes_per_min": 1}, "throttled"),
    ],
)
async def test_a_call_goes_by_http_on_the_same_account_where_no_socket_opens(knobs, reason):
    """And is not held up by another handshake for a while."""
    async with rig(knobs=knobs) as at:
        for turn in range(3):
            await at.turn(at.call(caller=f"key-{turn}"))
        assert at.upstream.fallbacks[reason] == 1
        assert at.upstream.fallbacks["avoided"] >= 1
        assert {record.account for record in at.simulator.world.ledger.records} == {"acct-1"}


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "token_expired"), (402, "deactivated_workspace"), (429, "usage_limit_reached")],
)
async def test_a_handshake_s_refusal_is_the_reply_that_http_would_have_brought(status, code):
    """The relay judges it as ever: the account rests, is renewed or is out."""
    async with rig(knobs={"ws_status": status}) as at:
        reply = await at.upstream.send(at.account(), at.call())
        assert reply.status == status
        assert code.encode() in await reply.read()
        assert not at.upstream.fallbacks


async def test_a_proxy_that_sockets_can_not_take_is_never_left_out():
    """The call takes HTTP, through that proxy."""
    async with rig() as at:
        behind = structs.replace(at.account(), proxy_url=Secret("socks4://127.0.0.1:1"))
        with pytest.raises(UpstreamFailure):
            await at.upstream.send(behind, at.call())
        assert at.upstream.fallbacks == {"proxy": 1}


async def test_a_server_that_is_away_costs_a_call_nothing_but_the_way():
    """HTTP says what is the matter."""
    async with rig() as at:
        await at.simulator.listen(on=False)
        with pytest.raises(UpstreamFailure) as caught:
            await at.upstream.send(at.account(), at.call())
        assert not caught.value.sent
        assert at.upstream.fallbacks == {"failed": 1}


async def test_a_large_call_goes_by_http_up_front_and_after_1009():
    """The size that was too big is remembered, so the next one does not even try."""
    async with rig(knobs={"ws_message_bytes_max": 200_000}) as at:
        large = structs.replace(at.call(), body=body("echo: x" + " " * 300_000))
        await at.turn(large)
        assert at.upstream.fallbacks == {"too_large": 1}
        await at.turn(large)
        assert at.upstream.fallbacks == {"too_large": 1, "size": 1}
        await at.turn()
        assert at.transports == ["http", "http", "ws"]


async def test_a_call_that_the_rule_finds_too_large_leaves_an_idle_socket_alone():
    """It serves the next one."""
    async with rig() as at:
        await at.turn()
        at.sockets.detours.too_large(100_000, 0.0)
        at.sockets.detours._bytes_until = 1e12
        await at.turn(structs.replace(at.call(), body=body("echo: x" + " " * 100_000)))
        await at.turn()
        assert at.upstream.fallbacks == {"size": 1}
        assert at.sockets.turns == {"fresh": 1, "reused": 1}


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1011, 1012])
async def test_a_socket_that_closes_in_the_middle_of_a_reply_breaks_that_reply(code):
    """Whatever its code says, and however properly; nobody uses the socket again."""
    async with rig() as at:
        with pytest.raises(UpstreamFailure) as caught:
            await at.turn(at.call(ws_close_after_events=5, ws_close_code=code))
        assert caught.value.sent
        assert str(code) in caught.value.reason
        await at.turn()
        assert at.sockets.turns == {"fresh": 2}
        assert at.sockets.cleanups == {"lost": 1}


@pytest.mark.parametrize("ending", ["fin", "rst"])
async def test_a_used_socket_that_closes_before_a_reply_is_replaced(ending):
    """It was the socket that failed and not the call, so the call is sent once more."""
    async with rig() as at:
        await at.turn()
        [socket] = at.sockets._stock
        ask = at.call(attempts=[{"break_before_head": ending}, {}])
        messages = await at.turn(ask)
        assert json.loads(messages[-1])["type"] == "response.completed"
        assert at.sockets.turns == {"fresh": 2, "reused": 1, "resent": 1}
        assert socket not in at.sockets._stock
        assert not at.violations


async def test_a_new_socket_that_closes_before_a_reply_is_a_failure():
    """Nothing is sent a third time: the relay decides what next."""
    async with rig() as at:
        with pytest.raises(UpstreamFailure) as caught:
            await at.upstream.send(at.account(), at.call(break_before_head="fin"))
        assert caught.value.sent
        assert len(at.transports) == 1


async def test_1008_before_a_reply_is_looked_into_over_http():
    """It may be about the credential, and only HTTP says what about it."""
    async with rig(knobs={"private_events": False}) as at:
        turn = at.call(attempts=[{"ws_close_after_events": 1, "ws_close_code": 1008}, {}])
        reply = await at.upstream.send(at.account(), turn)
        assert reply.status == 200
        await reply.abort()


@pytest.mark.parametrize("shape", ["nested", "body", "flat"])
async def test_an_error_in_place_of_a_reply_is_a_reply_with_its_status(shape):
    """With the limits that it tells of."""
    knobs = {"fault": "429_usage_limit", "ws_error_shape": shape, "private_events": False}
    async with rig() as at:
        reply = await at.upstream.send(at.account(), at.call(**knobs))
        assert reply.status == 429
        assert b"usage_limit_reached" in await reply.read()
        assert bool(reply.headers) is (shape == "nested")
        assert at.sockets.cleanups == {"failed": 1}


async def test_an_error_without_a_status_is_the_first_event_of_a_reply():
    """The relay waits for what follows it."""
    async with rig() as at:
        knobs = {"fault": "503_overloaded", "ws_error_shape": "no_status"}
        reply = await at.upstream.send(at.account(), at.call(**knobs))
        assert reply.status == 200
        assert b"server_is_overloaded" in await reply.read()
        await reply.finish()
        assert at.sockets.cleanups == {"failed": 1}


async def test_the_sixty_minutes_end_a_socket_and_no_call():
    """Between two turns as well as in answer to one."""
    async with rig(knobs={"ws_lifetime_s": 0.3}) as at:
        await at.turn()
        await asyncio.sleep(0.5)
        assert at.sockets.cleanups == {"outlived": 1}
        messages = await at.turn()
        assert json.loads(messages[-1])["type"] == "response.completed"
        assert at.sockets.turns == {"fresh": 2}


@pytest.mark.parametrize("spelling", ["code", "text"])
async def test_a_response_that_the_upstream_has_forgotten_is_sent_in_full(spelling):
    """On a new socket, unseen by the caller."""
    async with rig(knobs={"ws_memory": False, "ws_previous_spelling": spelling}) as at:
        first = await at.turn(structs.replace(at.call(), live=True))
        made = json.loads(first[-1])["response"]["id"]
        more = structs.replace(
            at.call("echo: full"), live=True, previous_response_id=made, delta=body("echo: delta")
        )
        messages = await at.turn(more)
        assert b"full" in b"".join(messages)
        assert at.sockets.turns == {"fresh": 2, "reused": 1, "resent": 1}


async def test_an_increment_goes_to_the_socket_that_holds_what_it_adds_to():
    """And the whole of it wherever else."""
    async with rig() as at:
        first = await at.turn(structs.replace(at.call(), live=True))
        made = json.loads(first[-1])["response"]["id"]
        ask = structs.replace(at.call("echo: full"), live=True, delta=body("echo: delta"))
        messages = await at.turn(structs.replace(ask, previous_response_id=made))
        assert b'delta"' in b"".join(messages)
        assert b"full" not in b"".join(messages)
        messages = await at.turn(structs.replace(ask, previous_response_id=made))
        assert b"full" in b"".join(messages)
        assert not at.violations


@pytest.mark.parametrize("size", [0, 1, 7])
async def test_fragments_are_joined(size):
    """However small."""
    async with rig(knobs={"ws_fragment_bytes": size}) as at:
        messages = await at.turn(at.call("echo: äöü €"))
        text = json.loads(messages[-1])
        assert text["type"] == "response.completed"
        assert all(json.loads(message) for message in messages)


async def test_a_frame_of_five_mebibytes_passes():
    """An image travels in one event."""
    async with rig() as at:
        messages = await at.turn(at.call(huge_event_bytes=5 << 20))
        assert max(map(len, messages)) > 5 << 20
        assert at.sockets.states()["idle"] == 1


async def test_a_frame_of_twenty_mebibytes_breaks_the_reply():
    """It is not taken for what 1009 means in the other direction."""
    async with rig() as at:
        with pytest.raises(UpstreamFailure, match="we closed with 1009"):
            await at.turn(at.call(huge_event_bytes=20 << 20))
        assert not at.upstream.fallbacks
        assert at.sockets.detours.size_max(0.0) == 15 << 20


async def test_a_binary_frame_breaks_the_reply():
    """The protocol has none."""
    async with rig() as at:
        with pytest.raises(UpstreamFailure, match="we closed with 1003"):
            await at.turn(at.call(ws_binary_at=3))


async def test_a_frame_that_is_no_utf8_breaks_the_reply():
    """The library does not look; we do."""
    async with rig() as at:
        with pytest.raises(UpstreamFailure, match="we closed with 1007"):
            await at.turn(at.call(invalid_utf8_event=3))


async def test_idle_metadata_is_dropped_and_costs_nothing():
    """It belongs to no turn."""
    async with rig(knobs={"ws_idle_frames": 3}) as at:
        for _ in range(3):
            messages = await at.turn()
            await asyncio.sleep(0.02)
            assert b'"idle"' not in b"".join(messages)
        assert at.sockets.turns == {"fresh": 1, "reused": 2}


async def test_a_socket_that_closes_after_its_turn_is_not_used_again():
    """Its reply was whole."""
    async with rig(knobs={"ws_close_after_terminal": 1000}) as at:
        await at.turn()
        await asyncio.sleep(0.05)
        assert at.sockets.connections()["open"] == 0
        await at.turn()
        assert at.sockets.turns == {"fresh": 2}


async def test_a_turn_that_is_cancelled_closes_its_socket_at_once():
    """The upstream notices within 200 ms and stops."""
    async with rig() as at:
        task = asyncio.create_task(at.turn(at.call(silence="body", private_events=False)))
        await until(lambda: at.simulator.world.gauges.sockets_open == 1)
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.2)
        assert at.simulator.world.gauges.sockets_open == 0
        assert at.sockets.cleanups == {"abandoned": 1}


async def test_where_all_sockets_are_busy_a_call_goes_by_http():
    """And an idle one of somebody else makes room."""
    async with rig(bounds=Bounds(2, 1)) as at:
        busy = await at.upstream.send(at.account(), at.call())
        await at.turn()
        assert at.upstream.fallbacks == {"full": 1}
        await busy.abort()
        await at.turn(at.call(caller="key-2"))
        await at.turn(at.call(caller="key-3"))
        assert at.sockets.cleanups["evicted"] == 1


async def test_a_socket_that_answers_no_ping_breaks_its_reply(monkeypatch):
    """Whoever answers may be silent, see `tests/upstream/sockets/test_life.py`."""
    monkeypatch.setattr(life, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(life, "PONG_WITHIN_S", 0.05)
    for pongs, expected in ((True, {}), (False, {"silent": 1})):
        async with rig(knobs={"ws_pong": pongs}) as at:
            reply = await at.upstream.send(at.account(), at.call(ttft_ms=60_000))
            for _ in range(6):
                await asyncio.sleep(0.06)
                await at.sockets.look()
            assert at.sockets.cleanups == expected
            await reply.abort()
