"""A small run of the proof, and that it would have told."""

from app.upstream.sockets.life import Life, Phase, Whose
from app.upstream.sockets.reply import SocketReply
from loadtests import isolation
from loadtests.isolation import reused
from loadtests.simulator.ledger import Record


async def test_no_turn_reads_another_s_words():
    """Nor is a spoilt socket used again, and nothing is left at the end."""
    said: list[str] = []
    assert await isolation.run(400, seed=7, say=said.append), "\n".join(said)
    assert any("reused" in line for line in said)


async def _given_back(reply) -> None:
    """Let go of a reply in the middle and keep its socket, as a careless pool would."""
    if not reply._over:
        reply._over = True
        reply._socket._turn = None
        reply._socket.life.phase = Phase.IDLE
        reply._put_back(reply._socket)


async def test_a_pool_that_keeps_sockets_in_the_middle_of_a_reply_is_found_out(monkeypatch):
    """A green run means something."""
    monkeypatch.setattr(SocketReply, "abort", _given_back)
    monkeypatch.setattr(Life, "_stray", lambda _: Whose.TURN)
    monkeypatch.setattr(Life, "_between", lambda *_: Whose.NOBODY)
    said: list[str] = []
    assert not await isolation.run(200, seed=7, patience_s=0.3, say=said.append)
    assert not any("foreign tags read:              0" in line for line in said)
    assert not any("used again:    0" in line for line in said)


def _record(name: str, nonce: str, terminal: str | None, began_ns: int) -> Record:
    transport = "ws" if "." in name else "http"
    return Record(
        id=name, path="", transport=transport, terminal=terminal, nonce=nonce, began_ns=began_ns
    )


def test_the_ledger_tells_who_came_after_whom():
    """Only sockets' own turns count, each beside the one before it."""
    records = [
        _record("sim-1.1", "a", "completed", 1),
        _record("sim-1.2", "b", "completed", 2),
        _record("sim-1.3", "c", None, 3),
        _record("sim-2.1", "d", None, 1),
        _record("sim-2.2", "e", "completed", 2),
        _record("sim-3", "f", None, 1),
    ]
    assert reused(records, {"a", "b"}) == ["e after d (None)"]
    assert reused(records, {"b"}) == ["b after a (completed)", "e after d (None)"]
