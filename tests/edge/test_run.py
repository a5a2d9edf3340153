"""Tests of app.edge.run; tests/edge/test_dataplane.py has it at work."""

import asyncio

import pytest

from app.edge.company import Pace
from app.edge.run import Run
from app.edge.streaming import Downstream
from app.errors import MethodNotAllowed, PayloadTooLarge, StreamIncomplete
from tests.edge.asgi import Server
from tests.edge.test_dataplane import Lane, Speaker
from tests.fakes.clock import FakeClock


def run_of(server: Server, *, codex_route: bool = False) -> Run[bytes]:
    """Return the run of a request that nothing was done for yet."""
    pace = Pace(60.0, 60.0, 60.0)
    downstream = Downstream(server.receive, server.send, pace=pace, closing=lambda: False)
    return Run(Speaker(codex_route=codex_route), downstream, FakeClock())


@pytest.mark.parametrize(("codex_route", "status"), [(False, 413), (True, 400)])
async def test_an_error_is_the_answer_while_there_is_none(codex_route, status) -> None:
    """A Codex client is never told 413."""
    server = Server()
    run = run_of(server, codex_route=codex_route)
    error = PayloadTooLarge("Too long.")
    await run.refuse(error)
    assert (server.status, run.code, run.error) == (status, "payload_too_large", error)


async def test_a_wrong_method_is_told_the_right_one() -> None:
    """As HTTP asks for."""
    server = Server()
    await run_of(server).refuse(MethodNotAllowed("GET"))
    assert server.headers["allow"] == "POST"


async def test_nothing_follows_an_end() -> None:
    """The error is noted, and not said."""
    server = Server()
    run = run_of(server)
    await run.downstream.answer(200, [], b"{}")
    await run.refuse(StreamIncomplete("late"))
    assert (server.body, run.code) == (b"{}", "stream_incomplete")


async def test_an_answer_that_is_no_stream_is_just_cut() -> None:
    """There is no place for an error in it."""
    server = Server()
    run = run_of(server)
    run.lane = Lane()
    await run.downstream.start([])
    await asyncio.sleep(0)
    await run.refuse(StreamIncomplete("cut"))
    assert not server.ended
