"""A small run of the proof, and that it would have told."""

from loadtests import isolation
from loadtests.isolation import reused
from loadtests.simulator.ledger import Record


async def test_no_turn_reads_another_s_words():
    """Nor is a spoilt socket used again, and nothing is left at the end."""
    said: list[str] = []
    assert await isolation.run(400, seed=7, say=said.append), "\n".join(said)
    assert any("reused" in line for line in said)


async def test_words_that_are_another_s_are_found(monkeypatch):
    """A green run means something; defects of the pool are planted in `test_pool_machine`."""
    honest = isolation._call
    monkeypatch.setattr(
        isolation, "_call", lambda _, drawn, caller: honest("turn-0", drawn, caller)
    )
    said: list[str] = []
    assert not await isolation.run(60, seed=7, say=said.append)
    assert not any("foreign tags read:              0" in line for line in said)


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
