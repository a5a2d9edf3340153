"""What the relay reads of a turn, and what becomes of the socket then."""

from app.upstream.sockets.frames import Refusal
from app.upstream.sockets.life import Reason
from app.upstream.sockets.reply import RefusalReply, SocketReply
from tests.fakes.connection import completed, created
from tests.upstream.sockets.test_socket import Scene

HEAD = [("x-codex-turn-state", "t"), ("x-models-etag", "e"), ("x-codex-plan-type", "plus")]


async def replied(scene: Scene, back: list, name: str = "r") -> SocketReply:
    """Return a reply of which the first event was read already."""
    turn = await scene.socket.ask(b"ask")
    scene.connection.hear(created(name), completed(name))
    return SocketReply(scene.socket, turn, [await turn.read()], put_back=back.append)


async def test_a_reply_begins_with_what_was_read_already():
    """In its order."""
    scene, back = Scene(), []
    reply = await replied(scene, back)
    assert reply.status == 200
    assert reply.messages
    assert [await reply.read(), await reply.read()] == [created("r"), completed("r")]
    await reply.finish()
    await reply.finish()
    await reply.abort()
    assert back == [scene.socket]
    assert not scene.closed


async def test_a_reply_that_is_let_go_early_costs_its_socket():
    """The upstream stops, and what it was about to say reaches nobody."""
    for let_go in ("abort", "finish"):
        scene, back = Scene(), []
        reply = await replied(scene, back)
        await getattr(reply, let_go)()
        await reply.abort()
        assert not back
        [(reason, at_once)] = scene.closed
        assert at_once
        assert reason is (Reason.ABANDONED if let_go == "abort" else Reason.STRAY)


async def test_the_handshake_s_headers_belong_to_the_first_turn():
    """Its turn state is another turn's, its limits are old."""
    scene, back = Scene(), []
    scene.connection.headers = HEAD
    reply = await replied(scene, back)
    assert reply.headers == HEAD
    await reply.read()
    await reply.read()
    await reply.finish()
    second = await replied(scene, back, "r2")
    assert second.headers == [("x-models-etag", "e")]


async def test_a_refusal_reads_as_a_reply_of_http():
    """Status, headers, body, end."""
    reply = RefusalReply(Refusal(429, [("a", "b")], b"no"))
    assert (reply.status, reply.headers, reply.messages) == (429, [("a", "b")], False)
    assert [await reply.read(), await reply.read()] == [b"no", None]
    await reply.finish()
    await reply.abort()
