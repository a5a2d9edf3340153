"""The pool of sockets without a network, in virtual time."""

import asyncio
from random import Random

import pytest

from app.domain.account import AccountId
from app.ports import UpstreamFailure
from app.upstream.identity import Identity
from app.upstream.sockets.connection import Rejected, Target, Unreachable
from app.upstream.sockets.life import AGE_S_MAX, IDLE_S, PING_EVERY_S, Reason
from app.upstream.sockets.pool import EARLY_MAX, SLICE, Bounds, NoSocket, SocketPool
from tests.fakes.accounts import account, call
from tests.fakes.connection import FakeConnection, completed, created, delta, event
from tests.fakes.virtual import LoopClock, virtual

IDENTITY = Identity(user_agent="codex2api/1", originator="codex2api")


class Backend:
    """Opens connections that answer every request."""

    def __init__(self) -> None:
        self.connections: list[FakeConnection] = []
        self.targets: list[Target] = []
        self.refuse: Exception | None = None
        self.delay_s = 0.0
        self.answers = True
        self.pongs = True
        self._number = 0

    async def dial(self, target: Target) -> FakeConnection:
        """Open a connection."""
        self.targets.append(target)
        await asyncio.sleep(self.delay_s)
        if self.refuse is not None:
            raise self.refuse
        connection = FakeConnection()
        connection.on_sent = self._answer
        connection.pongs = self.pongs
        self.connections.append(connection)
        return connection

    def _answer(self, connection: FakeConnection, _: bytes) -> None:
        if self.answers:
            self._number += 1
            name = f"r{self._number}"
            connection.hear(created(name), delta(name), completed(name))


class Scene:
    """A pool in front of a backend."""

    def __init__(self, **bounds: int) -> None:
        self.backend = Backend()
        self.pool = SocketPool(
            url="wss://up.test/codex/responses",
            dial=self.backend.dial,
            clock=LoopClock(),
            rng=Random(1),
            bounds=Bounds(**{"total_max": 1_000, "account_max": 1_000, **bounds}),
        )

    async def send(self, of=None, **changes):
        """Ask once."""
        of, asked = of or account(), call(**changes)
        headers = IDENTITY.headers(of, asked.headers, lite=asked.lite)
        return await self.pool.send(of, asked, headers)

    async def turn(self, of=None, **changes) -> list[bytes]:
        """Make a whole turn."""
        reply = await self.send(of, **changes)
        said = [await reply.read() for _ in range(3)]
        await reply.finish()
        return said


@virtual
async def test_nothing_is_dialled_before_a_call_and_nothing_after_the_end():
    """And the end leaves nothing open."""
    scene = Scene()
    with pytest.raises(NoSocket):
        await scene.send()
    async with scene.pool:
        await asyncio.sleep(100)
        assert not scene.backend.targets
        await scene.turn()
        busy = await scene.send(caller_id="other")
    assert [connection.log[-1] for connection in scene.backend.connections] == ["abort", "abort"]
    assert "close" in scene.backend.connections[0].log
    assert scene.pool.cleanups == {"drain": 2}
    assert scene.pool.entries == 0
    await busy.abort()
    with pytest.raises(NoSocket):
        await scene.send()


@virtual
async def test_a_socket_that_opens_after_the_end_is_closed():
    """Its call goes by HTTP, or ends."""
    scene = Scene()
    scene.backend.delay_s = 5.0
    async with scene.pool:
        dialling = asyncio.create_task(scene.send())
        await asyncio.sleep(1)
        assert scene.pool.connections() == {"dialling": 1, "open": 0, "closing": 0}
    with pytest.raises(NoSocket):
        await dialling
    assert scene.backend.connections[0].log == ["abort"]
    assert scene.pool.entries == 0


@virtual
async def test_a_call_that_is_cancelled_while_it_dials_leaves_nothing():
    """Nor does one that is cancelled while it waits for the first event."""
    scene = Scene()
    scene.backend.delay_s = 5.0
    scene.backend.answers = False
    async with scene.pool:
        for wait_s in (1, 10):
            task = asyncio.create_task(scene.send())
            await asyncio.sleep(wait_s)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert scene.pool.entries == 0
        assert scene.pool.cleanups == {"abandoned": 1}
        assert scene.backend.connections[0].log == ["abort"]


@virtual
async def test_idle_sockets_go_within_a_sweep_after_five_minutes():
    """Properly; a turn in between keeps one."""
    scene = Scene()
    async with scene.pool, asyncio.TaskGroup() as group:
        looking = group.create_task(scene.pool.run())
        await scene.turn()
        await scene.turn(caller_id="other")
        await asyncio.sleep(IDLE_S - 10)
        await scene.turn()
        await asyncio.sleep(PING_EVERY_S * 2)
        assert scene.pool.states() == {"idle": 1, "busy": 0}
        assert scene.pool.cleanups == {"idle": 1}
        await asyncio.sleep(IDLE_S + PING_EVERY_S)
        assert scene.pool.entries == 0
        looking.cancel()


@virtual
async def test_a_socket_that_answers_no_ping_is_closed_and_its_reply_breaks():
    """At once: there is nobody to say goodbye to."""
    scene = Scene()
    scene.backend.pongs = False
    scene.backend.answers = False
    async with scene.pool, asyncio.TaskGroup() as group:
        looking = group.create_task(scene.pool.run())
        asking = asyncio.create_task(scene.send())
        await asyncio.sleep(1)
        scene.backend.connections[0].hear(created("r"))
        reply = await asking
        await reply.read()
        reading = asyncio.create_task(reply.read())
        await asyncio.sleep(PING_EVERY_S * 4)
        with pytest.raises(UpstreamFailure, match="silent"):
            await reading
        assert scene.backend.connections[0].log == ["ping", "abort"]
        await reply.abort()
        looking.cancel()


@virtual
async def test_an_old_socket_is_replaced():
    """Before the backend ends it."""
    scene = Scene()
    async with scene.pool:
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - began < AGE_S_MAX:
            await scene.turn()
            await asyncio.sleep(60)
        assert len(scene.backend.connections) == 2
        await scene.pool.look()
        assert scene.pool.cleanups == {"age": 1}


@virtual
async def test_a_sweep_lets_others_run_between_its_slices():
    """However many sockets there are."""
    scene = Scene()
    async with scene.pool:
        for number in range(3 * SLICE):
            await scene.turn(caller_id=str(number))
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        await scene.pool.look()
        counting.cancel()
        assert turns >= 3


@virtual
async def test_accounts_that_are_gone_take_their_sockets_with_them():
    """And so do credentials that were renewed; a busy socket ends with its turn."""
    scene = Scene()
    async with scene.pool:
        for name in "abc":
            await scene.turn(account(name))
        busy = await scene.send(account("d"))
        scene.pool.keep({AccountId("a"): 0, AccountId("b"): 1})
        assert scene.pool.states() == {"idle": 1, "busy": 1}
        for _ in range(3):
            await busy.read()
        await busy.finish()
        assert scene.pool.states() == {"idle": 1, "busy": 0}
        assert scene.pool.cleanups == {"credential": 3}


@virtual
async def test_there_are_never_more_sockets_than_allowed():
    """Also while many are being dialled at once."""
    scene = Scene(total_max=5, account_max=3)
    scene.backend.delay_s = 1.0
    async with scene.pool:
        replies = await asyncio.gather(
            *(scene.send(account(name), caller_id=str(n)) for name in "abc" for n in range(4)),
            return_exceptions=True,
        )
        opened = [reply for reply in replies if not isinstance(reply, NoSocket)]
        assert len(opened) == len(scene.backend.connections) == 5
        assert {str(r) for r in replies if isinstance(r, NoSocket)} == {"full"}
        for reply in opened:
            await reply.abort()
        assert scene.pool.entries == 0


@pytest.mark.parametrize(
    ("refuse", "reason"),
    [
        (Unreachable("ConnectError"), "failed"),
        (Rejected(426, [], b""), "no_sockets"),
        (Rejected(502, [], b"<html>"), "failed"),
        (Rejected(429, [("retry-after", "9")], b""), "throttled"),
    ],
)
def test_a_handshake_that_fails_is_not_tried_again_at_once(refuse, reason):
    """Whoever comes next takes HTTP without a detour."""

    @virtual
    async def play() -> None:
        scene = Scene()
        scene.backend.refuse = refuse
        async with scene.pool:
            for expected in (reason, "avoided"):
                with pytest.raises(NoSocket, match=expected):
                    await scene.send()
            assert len(scene.backend.targets) == 1
            assert scene.pool.handshakes == {reason: 1}
            scene.backend.refuse = None
            await asyncio.sleep(3_600)
            await scene.turn()
            assert scene.pool.handshakes == {reason: 1, "opened": 1}

    play()


@virtual
async def test_a_refusal_with_a_reason_is_the_reply():
    """And no detour."""
    scene = Scene()
    scene.backend.refuse = Rejected(401, [("a", "b")], b'{"error":{"code":"token_expired"}}')
    async with scene.pool:
        reply = await scene.send()
        assert (reply.status, list(reply.headers)) == (401, [("a", "b")])
        assert len(scene.pool.detours) == 0
        assert scene.pool.entries == 0


@virtual
async def test_private_events_without_end_are_handed_on():
    """The relay has a limit for what comes before content."""
    scene = Scene()
    scene.backend.answers = False
    async with scene.pool:
        asking = asyncio.create_task(scene.send())
        await asyncio.sleep(1)
        scene.backend.connections[0].hear(*[event("codex.rate_limits")] * (EARLY_MAX + 1))
        reply = await asking
        for _ in range(EARLY_MAX + 1):
            await reply.read()
        await reply.abort()


@virtual
async def test_a_used_socket_that_is_dead_is_noticed_when_it_is_asked():
    """Nothing came of it, so the call gets another."""
    scene = Scene()
    async with scene.pool:
        await scene.turn()
        scene.backend.connections[0].listener = None
        assert len(await scene.turn()) == 3
        assert scene.pool.turns == {"fresh": 2, "reused": 1, "resent": 1}
        assert scene.pool.cleanups[Reason.LOST.value] == 1


@virtual
async def test_a_reply_that_does_not_begin_with_its_beginning_is_not_believed():
    """It may be another's: the call is sent again on a new socket."""
    scene = Scene()
    async with scene.pool:
        await scene.turn()
        first = scene.backend.connections[0]
        first.on_sent = lambda connection, _: connection.hear(delta("somebody else's"))
        said = await scene.turn()
        assert b"somebody" not in b"".join(said)
        assert first.log == ["abort"]
        assert scene.pool.cleanups == {"stray": 1}


@virtual
async def test_a_connection_that_can_not_be_closed_ends_nothing_else():
    """It is cut instead, and the pool goes on."""

    async def close() -> None:
        raise RuntimeError("no")

    scene = Scene()
    async with scene.pool:
        await scene.turn()
        scene.backend.connections[0].close = close
        scene.pool.keep({})
        await asyncio.sleep(1)
        assert scene.backend.connections[0].log == ["abort"]
        assert scene.pool.connections() == {"dialling": 0, "open": 0, "closing": 0}
        await scene.turn()
