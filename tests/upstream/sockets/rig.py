"""The Codex backend by both ways, in front of a simulator in the same loop."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from app.clock import SystemClock
from app.dialects.responses.events import classify
from app.domain.account import Account, Credential, Secret
from app.domain.call import Call
from app.domain.caller import KeyId
from app.domain.runtime import UpstreamTransport
from app.upstream.auth_server import trust_store
from app.upstream.codex import CodexUpstream
from app.upstream.codex_http import CodexHttp
from app.upstream.http import HttpClient
from app.upstream.identity import Identity
from app.upstream.sockets.pool import Bounds, SocketPool
from app.upstream.sockets.wire import Dialler
from loadtests.simulator.config import fast
from loadtests.simulator.server import Simulator
from tests.fakes.accounts import account, call

IDENTITY = Identity(user_agent="codex2api/1", originator="codex2api")


class Rig:
    """A simulator, its accounts, and the upstream that is tested."""

    def __init__(self, simulator: Simulator, upstream: CodexUpstream) -> None:
        self.simulator = simulator
        self.upstream = upstream
        self.sockets = upstream.sockets
        self._turns = 0

    def account(self, name: str = "acct-1", *, generation: int = 0) -> Account:
        """Return one of the simulator's accounts with its present credential."""
        accounts = self.simulator.world.accounts
        shown = accounts.credentials(accounts.by_id[name])
        return account(
            name,
            credential=Credential(Secret(shown["access_token"]), generation=generation),
            chatgpt_account_id=shown["account_id"],
        )

    def call(self, say: str = "echo: hi", *, caller: str = "key-1", **knobs: Any) -> Call:
        """Return a call; `knobs` are the simulator's, for this turn."""
        self._turns += 1
        text = f"[[sim {json.dumps(knobs)}]] {say}" if knobs else say
        return call(
            id=f"req-{self._turns}",
            caller_id=KeyId(caller),
            model="gpt-5.5",
            body=body(text),
        )

    async def turn(self, call: Call | None = None, of: Account | None = None) -> list[bytes]:
        """Make a whole turn and return its messages, or the pieces of its body."""
        reply = await self.upstream.send(of or self.account(), call or self.call())
        assert reply.status == 200, await reply.read()
        pieces: list[bytes] = []
        while (piece := await reply.read()) is not None:
            pieces.append(piece)
            if reply.messages and classify(piece).terminal:
                break
        await reply.finish()
        return pieces

    @property
    def transports(self) -> list[str]:
        """By which way the simulator was asked, each time; handshakes are no questions."""
        records = self.simulator.world.ledger.records
        return [
            record.transport for record in records if record.transport != "ws" or "." in record.id
        ]

    @property
    def violations(self) -> list[Any]:
        """What the simulator has to complain about."""
        return list(self.simulator.world.ledger.violations)


def body(text: str, **more: Any) -> bytes:
    """Return an encoded request."""
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    fixed = {"model": "gpt-5.5", "instructions": "", "store": False, "stream": True}
    return json.dumps({**fixed, "input": [said], **more}).encode()


@asynccontextmanager
async def rig(
    *, transport: str = "websocket", bounds: Bounds | None = None, **config: Any
) -> AsyncIterator[Rig]:
    """Open a rig; `config` are fields of the simulator's `Config`."""
    async with (
        Simulator(fast(**{"accounts": 2, **config})) as simulator,
        HttpClient(proxy_url=None, ca_file=None) as client,
    ):
        base_url = simulator.addresses["upstream_base_url"]
        dialler = Dialler(proxy_url=None, tls=trust_store(config.get("ca_file")))
        async with SocketPool(
            url="ws" + base_url.removeprefix("http") + "/codex/responses",
            dial=dialler.dial,
            clock=SystemClock(),
            rng=Random(1),
            bounds=bounds or Bounds(50, 20),
        ) as sockets:
            upstream = CodexUpstream(
                http=CodexHttp(client=client, identity=IDENTITY, base_url=base_url),
                sockets=sockets,
                identity=IDENTITY,
                reaches=lambda who: dialler.reaches(who.proxy_url),
            )
            upstream.transport = UpstreamTransport(transport)
            yield Rig(simulator, upstream)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so that nobody says when it is."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)
