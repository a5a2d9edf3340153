"""Whatever happens on shared sockets in whatever order: no turn hears another's words.

Callers ask, read as slowly as they like, leave in the middle; the backend answers, repeats itself
late, closes, falls silent and errs. Each request has a tag that all content of its answer bears.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.dialects.responses.events import Kind, classify
from app.ports import UpstreamFailure
from app.upstream.sockets.connection import Target
from app.upstream.sockets.life import Life, Phase, Whose
from app.upstream.sockets.pool import Bounds, NoSocket, SocketPool
from tests.fakes.accounts import account, call
from tests.fakes.connection import FakeConnection, completed, created, delta, event
from tests.fakes.virtual import LoopClock, VirtualLoop

FAULTS = (
    event("error", status=500, error={"code": "server_error"}),
    event("error", message="no status"),
    event("error", status=400, error={"code": "websocket_connection_limit_reached"}),
    event("response.failed", response={"error": {"code": "server_error"}}),
    b"{",
)


class Line(FakeConnection):
    """A connection as the backend sees it."""

    def __init__(self, world: "PoolMachine") -> None:
        super().__init__()
        self.world = world
        self.fit = True
        """A request may be sent on it."""
        self.turn: Turn | None = None
        self.script: list[bytes] = []
        """What is still to be said in answer to the present request."""
        self.said: list[bytes] = []
        """What was said in answer to earlier ones."""
        self.on_sent = Line.asked

    @staticmethod
    def asked(line: FakeConnection, data: bytes) -> None:
        """Take a request in: it must not come on a spoilt socket, nor while another runs."""
        assert isinstance(line, Line)
        turn = line.world.turns[msgspec.json.decode(data)["tag"]]
        if not line.fit:
            line.world.complaints.append("a spoilt socket was used again")
        if line.script:
            line.world.complaints.append("two turns on a socket")
        if line.turn is not None and line.turn.caller != turn.caller:
            line.world.complaints.append("two callers on a socket")
        line.fit = False
        line.turn = turn
        turn.line = line
        name = f"resp-{turn.tag}-{len(line.sent)}"
        line.script = [created(name), delta(turn.tag), delta(turn.tag), completed(name)]

    def say(self) -> None:
        """Say the next thing."""
        data = self.script.pop(0)
        self.said.append(data)
        self.hear(data)


class Turn:
    """A caller's turn: what it has read, and how far it may read."""

    def __init__(self, tag: str, caller: str) -> None:
        self.tag = tag
        self.caller = caller
        self.permits = asyncio.Semaphore(0)
        self.read: list[bytes] = []
        self.line: Line | None = None
        self.task: asyncio.Task[None] | None = None

    async def play(self, pool: SocketPool, name: str) -> None:
        """Ask and read, one message for each permit."""
        asked = call(caller_id=self.caller, body=msgspec.json.encode({"tag": self.tag}))
        try:
            reply = await pool.send(account(name), asked, [])
        except (NoSocket, UpstreamFailure):
            return
        try:
            while True:
                await self.permits.acquire()
                data = await reply.read()
                if data is None:
                    break
                self.read.append(data)
                if classify(data).terminal and reply.messages:
                    break
            line = self.line
            if line is not None and classify(self.read[-1]) is Kind.COMPLETED:
                line.fit = line.listener is not None and not {"abort", "close"} & {*line.log}
            await reply.finish()
        except UpstreamFailure:
            pass
        finally:
            await reply.abort()


class PoolMachine(RuleBasedStateMachine):
    """Two callers, two accounts, five sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.lines: list[Line] = []
        self.turns: dict[str, Turn] = {}
        self.complaints: list[str] = []
        self.pool = self.run(self._open())

    async def _open(self) -> SocketPool:
        return await SocketPool(
            url="ws://up.test",
            dial=self._dial,
            clock=LoopClock(),
            rng=Random(3),
            bounds=Bounds(5, 3),
        ).__aenter__()

    async def _dial(self, _: Target) -> Line:
        line = Line(self)
        self.lines.append(line)
        return line

    def run(self, doing: Any) -> Any:
        """Let something be done, and everything settle."""
        asyncio.set_event_loop(self.loop)
        done = self.loop.run_until_complete(doing)
        for _ in range(12):
            self.loop.run_until_complete(asyncio.sleep(0))
        return done

    def do(self, *actions: Callable[[], object]) -> None:
        """Do something within the loop, and let everything be done that waits for no time."""

        async def act() -> None:
            for action in actions:
                action()

        self.run(act())

    @property
    def busy(self) -> list[Line]:
        """Return the lines that have something to say."""
        return [line for line in self.lines if line.script and line.listener is not None]

    @property
    def waiting(self) -> list[Turn]:
        """Return the turns that go on."""
        return [turn for turn in self.turns.values() if turn.task and not turn.task.done()]

    @rule(caller=st.sampled_from("kl"), name=st.sampled_from("ab"))
    def ask(self, caller: str, name: str) -> None:
        """A caller begins a turn."""
        turn = Turn(f"t{len(self.turns)}-{caller}", caller)
        self.turns[turn.tag] = turn
        turn.task = self.loop.create_task(turn.play(self.pool, name))
        self.do()

    @precondition(lambda self: self.busy)
    @rule(at=st.integers(0, 9), count=st.integers(1, 4))
    def answer(self, at: int, count: int) -> None:
        """The backend goes on with an answer."""
        line = self.busy[at % len(self.busy)]
        self.do(*[line.say] * min(count, len(line.script)))

    @precondition(lambda self: self.waiting)
    @rule(at=st.integers(0, 9), count=st.integers(1, 5))
    def read(self, at: int, count: int) -> None:
        """A caller reads on."""
        turn = self.waiting[at % len(self.waiting)]
        self.do(*[turn.permits.release] * count)

    @precondition(lambda self: self.waiting)
    @rule(at=st.integers(0, 9))
    def leave(self, at: int) -> None:
        """A caller leaves."""
        turn = self.waiting[at % len(self.waiting)]
        self.do(turn.task.cancel)

    @precondition(lambda self: self.stale)
    @rule(at=st.integers(0, 9), which=st.integers(0, 9), count=st.integers(1, 3))
    def repeat(self, at: int, which: int, count: int) -> None:
        """Something of an earlier answer comes once more, before the next one has begun."""
        line = self.stale[at % len(self.stale)]
        line.fit = False
        again = [line.said[(which + number) % len(line.said)] for number in range(count)]
        self.do(lambda: line.hear(*again))

    @property
    def stale(self) -> list[Line]:
        """Return the lines on which an answer is over and the next one has not begun."""
        return [
            line
            for line in self.lines
            if line.said and line.listener is not None and len(line.script) in (0, 4)
        ]

    @precondition(lambda self: self.busy)
    @rule(at=st.integers(0, 9), fault=st.sampled_from(FAULTS))
    def err(self, at: int, fault: bytes) -> None:
        """The backend fails at an answer and says no more of it."""
        line = self.busy[at % len(self.busy)]
        line.script = []
        line.fit = False
        self.do(lambda: line.hear(fault))

    @precondition(lambda self: self.lines)
    @rule(at=st.integers(0, 9), code=st.sampled_from([1000, 1006, 1008, 1009, 1011, 1012]))
    def close(self, at: int, code: int) -> None:
        """The backend closes a connection."""
        line = self.lines[at % len(self.lines)]
        line.fit = False
        line.script = []
        self.do(lambda: line.lose(code))

    @precondition(lambda self: self.lines)
    @rule(at=st.integers(0, 9))
    def tell(self, at: int) -> None:
        """A private event comes, which may come at any time."""
        line = self.lines[at % len(self.lines)]
        self.do(lambda: line.hear(event("codex.rate_limits")))

    @rule(seconds=st.sampled_from([1.0, 40.0, 400.0, 4_000.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, and the pool looks after itself."""
        self.run(asyncio.sleep(seconds))
        self.run(self.pool.look())

    @invariant()
    def nobody_hears_another(self) -> None:
        """All content that a turn has read bears its tag."""
        assert not self.complaints
        for turn in self.turns.values():
            if turn.task is not None and turn.task.done() and not turn.task.cancelled():
                assert turn.task.exception() is None
            for data in turn.read:
                if classify(data) is Kind.CONTENT:
                    assert turn.tag.encode() in data, "another's words"

    @invariant()
    def it_is_bounded(self) -> None:
        """And its tables hold what is there."""
        open_ = self.pool.connections()["open"]
        assert open_ <= 5
        assert self.pool.entries <= 5 * (2 + 1 + 2 + 1) + 2

    def teardown(self) -> None:
        """Everything ends: no task, no entry, no connection is left."""
        for turn in self.waiting:
            turn.task.cancel()
        self.do()
        self.run(self.pool.__aexit__(None, None, None))
        assert self.pool.entries == len(self.pool.detours)
        assert all(line.log[-1:] == ["abort"] for line in self.lines)
        assert not asyncio.all_tasks(self.loop)
        self.loop.close()
        asyncio.set_event_loop(None)


def _believing(life: Life, now: float) -> bool:
    life.phase = Phase.IDLE
    life.spoilt = None
    life.idle_since = now
    return True


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def left_over(machine: PoolMachine) -> None:
    """Let something of an answer come again just after the next request has gone out."""
    machine.ask("k", "a")
    machine.answer(0, 4)
    machine.read(0, 4)
    machine.ask("k", "a")
    machine.repeat(0, 1, 1)
    machine.read(0, 1)


def failed(machine: PoolMachine) -> None:
    """Let an answer fail, and ask again."""
    machine.ask("k", "a")
    machine.answer(0, 1)
    machine.err(0, FAULTS[3])
    machine.read(0, 5)
    machine.ask("k", "a")


@pytest.mark.parametrize("planted", [False, True])
@pytest.mark.parametrize(
    ("play", "name", "believing"),
    [(left_over, "_stray", lambda _: Whose.TURN), (failed, "consumed", _believing)],
)
def test_the_machine_notices_a_pool_that_believes_too_much(
    monkeypatch, play, name, believing, planted
):
    """A green run means something: the same steps are harmless without the defect."""
    if planted:
        monkeypatch.setattr(Life, name, believing)
    machine = PoolMachine()
    play(machine)
    if planted:
        with pytest.raises(AssertionError):
            machine.nobody_hears_another()
    else:
        machine.nobody_hears_another()
    machine.teardown()
