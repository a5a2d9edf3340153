"""Tests of app.edge.sockets.way; tests/edge/sockets/test_connection.py has it at work."""

import asyncio
from typing import Any

import pytest

from app.domain.traffic import Traffic
from app.edge.company import Pace
from app.edge.sockets.outgoing import Outgoing
from app.edge.sockets.way import TurnWay

PATIENT = Pace(60.0, 60.0, 60.0)


class Caller:
    """Takes messages, until it does not read any more."""

    def __init__(self, *, reads: bool = True) -> None:
        self.heard: list[str] = []
        self.reads = reads
        self.took = asyncio.Event()

    async def send(self, message: Any) -> None:
        """Take one."""
        if not self.reads:
            await asyncio.get_running_loop().create_future()
        self.heard.append(message["text"])
        self.took.set()


def way_to(caller: Caller, *, pace: Pace = PATIENT, silence: str | None = None) -> TurnWay:
    """Return the way of a turn to a caller."""
    return TurnWay(Outgoing(caller.send), pace=pace, traffic=Traffic(), silence=silence)


async def test_a_turn_is_messages_and_an_end() -> None:
    """Counted as they go; bytes that are no UTF-8 do no harm."""
    caller = Caller()
    way = way_to(caller)
    way.watch()
    await way.start([(b"a", b"b")])
    assert (way.started, way.status) == (True, 200)
    await way.write([b"1", b"2\xff"])
    await way.write([])
    await way.end([])
    await way.close()
    assert caller.heard == ["1", "2\ufffd"]
    assert (way._traffic.messages_out, way._traffic.bytes_out, way.ended) == (2, 3, True)


async def test_what_is_pushed_is_out_at_once_if_there_is_room() -> None:
    """If not, the rest of it has to be waited for."""
    caller = Caller()
    way = way_to(caller)
    await way.start([])
    assert way.push([b"1", b"2"]) is None
    assert caller.heard == ["1", "2"]
    caller.reads = False
    rest = way.push([b"3"])
    assert rest is not None
    waiting = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    waiting.cancel()
    await way.close()


async def test_an_error_is_one_message() -> None:
    """Its status is what is written down."""
    caller = Caller()
    way = way_to(caller)
    await way.answer(429, [], b"{}")
    await way.close()
    assert (way.status, way.ended, caller.heard) == (429, True, ["{}"])


async def test_a_silent_turn_says_what_it_may() -> None:
    """Between two messages, never within one."""
    caller = Caller()
    way = way_to(caller, pace=Pace(60.0, 0.001, 60.0), silence="~")
    way.expect_stream()
    await caller.took.wait()
    await way.write([b"1"])
    await way.end([b"2"])
    await way.close()
    assert [text for text in caller.heard if text != "~"] == ["1", "2"]


async def test_where_nothing_is_known_to_be_harmless_nothing_is_said() -> None:
    """Other clients than Codex's may not know such a message."""
    caller = Caller()
    await way_to(caller)._keep_alive()
    assert caller.heard == []


@pytest.mark.parametrize("what", ["answer", "write"])
async def test_a_caller_that_does_not_read_is_left(what) -> None:
    """After the send timeout its turn is cancelled."""
    ways: list[TurnWay] = []

    async def turn() -> None:
        way = way_to(Caller(reads=False), pace=Pace(60.0, 0.001, 0.001))
        ways.append(way)
        if what == "answer":
            await way.answer(500, [], b"{}")
        else:
            way.expect_stream()
            await way.write([b"1"])

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(turn())
    await ways[0].close()
    assert ways[0].gone
