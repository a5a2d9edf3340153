"""Tests of app.edge.streaming."""

import asyncio
from typing import Any

import pytest

from app.edge.company import Pace
from app.edge.streaming import COMMENT, PIECE_BYTES, Downstream
from tests.edge.asgi import Server

CALM = Pace(commit_after_s=60.0, keepalive_s=60.0, send_timeout_s=60.0)
QUICK = Pace(commit_after_s=0.0, keepalive_s=0.01, send_timeout_s=60.0)
IMPATIENT = Pace(commit_after_s=60.0, keepalive_s=60.0, send_timeout_s=0.01)


def downstream(server: Server, *, pace: Pace = CALM, closing: bool = False) -> Downstream:
    """Return the way back to the server's caller."""
    return Downstream(server.receive, server.send, pace=pace, closing=lambda: closing)


async def test_a_whole_answer_is_a_head_and_a_body() -> None:
    """With its length, and with what goes out with every head."""
    server = Server()
    way = downstream(server)
    way.headers.append((b"x-request-id", b"mine"))
    await way.answer(404, [(b"a", b"b")], b"body")
    await way.close()
    assert (server.status, server.body, server.ended) == (404, b"body", True)
    assert server.headers == {"x-request-id": "mine", "a": "b", "content-length": "4"}


async def test_a_connection_that_is_to_end_is_told_so() -> None:
    """By the head of its answer."""
    server = Server()
    way = downstream(server, closing=True)
    await way.answer(200, [], b"")
    assert server.headers["connection"] == "close"


@pytest.mark.parametrize("size", [0, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
async def test_a_long_answer_goes_out_in_pieces(size) -> None:
    """Together they are the answer, and one of them is the last."""
    server = Server()
    way = downstream(server)
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    await way.answer(200, [], body)
    await way.close()
    assert (server.body, server.ended) == (body, True)
    assert all(len(message["body"]) <= PIECE_BYTES for message in server.sent[1:])


async def test_a_stream_is_a_head_events_and_an_end() -> None:
    """The head says that it is one, and that nobody may hold it back."""
    server = Server()
    way = downstream(server)
    way.expect_stream()
    await way.start([(b"a", b"b")])
    await way.write(b"one")
    await way.write(b"two")
    assert not server.ended
    await way.end(b"three")
    await way.close()
    assert (server.status, server.body, server.ended) == (200, b"onetwothree", True)
    assert server.headers["content-type"].startswith("text/event-stream")
    assert (server.headers["x-accel-buffering"], server.headers["a"]) == ("no", "b")
    assert (way.started, way.ended, way.gone) == (True, True, False)


async def test_what_is_pushed_is_out_at_once_if_there_is_room() -> None:
    """Nothing has to be waited for, and no task is woken."""
    server = Server()
    way = downstream(server)
    await way.start([])
    assert way.push(b"one") is None
    assert server.body == b"one"
    await way.close()


async def test_what_is_pushed_to_a_caller_that_does_not_read_has_to_be_waited_for() -> None:
    """And one that never reads again is given up, as if it had left."""
    server = Server(stuck_after=2)
    way = downstream(server, pace=IMPATIENT)
    way.expect_stream()
    way._beat.cancel()
    await way.start([])
    assert way.push(b"one") is None
    rest = way.push(b"two")
    assert rest is not None
    way._tick()
    with pytest.raises(asyncio.CancelledError):
        await rest
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    assert way.gone
    await way.close()


async def test_what_is_pushed_waits_for_the_comment_that_is_going_out() -> None:
    """Nothing is said in the middle of it."""
    server = Server()
    way = downstream(server, pace=QUICK)
    await way.start([])
    way._pulse = asyncio.ensure_future(asyncio.sleep(0))
    rest = way.push(b"one")
    assert rest is not None
    assert server.body == b""
    await rest
    assert server.body == b"one"
    assert way.push(b"two") is None
    await way.close()


async def test_a_stream_is_never_silent_for_long() -> None:
    """The head goes out without content, and comments after it; `start` sends no second head."""
    server = Server()
    way = downstream(server, pace=QUICK)
    way.expect_stream()
    await server.until(4)
    await way.start([(b"late", b"yes")])
    await way.write(b"event")
    await way.end(b"")
    await way.close()
    assert "late" not in server.headers
    assert server.body.startswith(COMMENT * 3)
    assert server.body.replace(COMMENT, b"") == b"event"


async def test_an_error_waits_for_the_comment_that_is_going_out() -> None:
    """Or its head and the error's would meet."""
    server = Server()
    way = downstream(server, pace=QUICK)
    way._tick()
    assert not way.started
    await way.quiet()
    assert way.started
    await way.end(b"error")
    await way.close()
    assert server.body == COMMENT + b"error"


async def test_a_caller_that_leaves_cancels_its_call() -> None:
    """Once, and not after the end."""
    server = Server()
    ways: list[Downstream] = []

    async def call() -> None:
        ways.append(downstream(server))
        ways[0].watch()
        await asyncio.sleep(60)

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    server.leave()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ways[0].gone
    ways[0]._give_up()
    await ways[0].close()


async def test_a_caller_that_leaves_after_the_end_changes_nothing() -> None:
    """It has had its answer."""
    server = Server()
    way = downstream(server)
    way.watch()
    await way.answer(200, [], b"")
    server.leave()
    await asyncio.sleep(0.01)
    assert not way.gone
    await way.close()


async def test_a_message_that_is_no_leaving_is_none() -> None:
    """Some servers repeat the end of the body."""
    server = Server()
    way = downstream(server)
    way.watch()
    server.bring(b"", more=False)
    await asyncio.sleep(0.01)
    assert not way.gone
    await way.close()


async def test_a_server_may_answer_with_a_coroutine() -> None:
    """Then a task watches it."""
    server = Server()

    async def receive() -> Any:
        return await server.receive()

    async def call() -> Downstream:
        way = Downstream(receive, server.send, pace=CALM, closing=lambda: False)
        way.watch()
        server.leave()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(60)
        return way

    way = await asyncio.create_task(call())
    assert way.gone
    await way.close()


@pytest.mark.parametrize("where", ["write", "end", "answer", "comment"])
async def test_a_caller_that_does_not_read_cancels_its_call(where) -> None:
    """Wherever the bytes are stuck: in an event, in the end, in a long answer, in a comment."""
    server = Server(stuck_after=1)
    pace = Pace(0.0, 0.001, 0.01) if where == "comment" else Pace(0.001, 60.0, 0.01)
    ways: list[Downstream] = []

    async def call() -> None:
        way = downstream(server, pace=pace)
        ways.append(way)
        if where == "answer":
            await way.answer(200, [], bytes(2 * PIECE_BYTES))
        way.expect_stream()
        if where == "comment":
            await asyncio.sleep(60)
        await way.start([])
        await (way.write(b"event") if where == "write" else way.end(b"event"))

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(call())
    assert ways[0].gone
    await ways[0].close()


async def test_an_event_waits_for_the_comment_that_is_going_out() -> None:
    """And the end does."""
    for ending in (False, True):
        server = Server()
        way = downstream(server, pace=QUICK)
        way._tick()
        await (way.end(b"event") if ending else way.write(b"event"))
        await way.close()
        assert server.body == COMMENT + b"event"


async def test_closing_lets_go_of_everything() -> None:
    """Whether a comment is under way or nothing ever was."""
    server = Server(stuck_after=0)
    way = downstream(server, pace=QUICK)
    way.watch()
    way._tick()
    await asyncio.sleep(0)
    await way.close()
    way._tick()
    await downstream(Server()).close()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_what_ends_badly_while_it_is_watched_is_no_leaving() -> None:
    """A watch that is cancelled tells nothing."""
    server = Server()
    way = downstream(server)
    way.watch()
    way._leaving.cancel()
    await asyncio.sleep(0.01)
    assert not way.gone
    await way.close()


async def test_a_slow_reader_that_reads_in_time_is_waited_for() -> None:
    """The clock runs for each send anew."""
    server = Server()
    way = downstream(server, pace=IMPATIENT)
    way.expect_stream()
    way._sending_since = asyncio.get_running_loop().time()
    way._tick()
    assert not way.gone
    way._sending_since = 0.0
    await way.close()


async def test_a_caller_that_leaves_may_be_waited_for() -> None:
    """Its call goes on for a while, without a word to anybody, and ends then."""
    server = Server()

    async def run() -> Downstream:
        way = downstream(server, pace=QUICK)
        way.patience = lambda: 0.05
        way.watch()
        way.expect_stream()
        await way.start([])
        await asyncio.sleep(0)
        before = len(server.sent)
        server.leave()
        try:
            with pytest.raises(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
        finally:
            await way.close()
        assert len(server.sent) - before <= 1
        return way

    way = await asyncio.create_task(run())
    assert (way.gone, way.stayed) == (True, True)


async def test_a_call_that_ends_while_its_caller_is_away_is_not_cancelled() -> None:
    """What was to end it is let go of."""
    server = Server()

    async def run() -> bool:
        way = downstream(server)
        way.patience = lambda: 0.02
        way.watch()
        server.leave()
        for _ in range(9):
            await asyncio.sleep(0)
        await way.close()
        await asyncio.sleep(0.05)
        return way.stayed

    assert await asyncio.create_task(run())
