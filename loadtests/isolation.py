"""`make isolation`: turns of many callers on shared sockets, with everything going wrong that can.

Each turn has a tag that the simulator writes into every piece of its answer. Callers read fast or
slowly, leave in the middle or before anything came; the upstream closes with any code, repeats its
terminal event, goes on after it, sends garbage, errs, falls silent. Two questions are answered at
the end, and the exit status is 1 if either answer is not 0:

* How many turns have read a tag that is not theirs?
* How many turns were made on a socket whose last turn had not been read to a good end? The
  simulator's ledger knows which turn came on which socket, in which order.

What is left of sockets, tasks and table entries afterwards is counted as well.
"""

import argparse
import asyncio
import itertools
import json
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

from msgspec import Struct, field

from app.clock import SystemClock
from app.dialects.responses.events import Kind, classify
from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.call import Call, Dialect
from app.domain.caller import KeyId
from app.domain.runtime import UpstreamTransport
from app.ports import UpstreamFailure, UpstreamReply
from app.upstream.auth_server import trust_store
from app.upstream.codex import CodexUpstream
from app.upstream.codex_http import CodexHttp
from app.upstream.http import HttpClient
from app.upstream.identity import Identity
from app.upstream.sockets.pool import Bounds, SocketPool
from app.upstream.sockets.wire import Dialler
from loadtests.simulator.config import fast
from loadtests.simulator.ledger import Record
from loadtests.simulator.server import Simulator

TURNS: Final = 100_000
CALLERS: Final = 4
ACCOUNTS: Final = 2
AT_ONCE: Final = 24
BOUNDS: Final = Bounds(total_max=40, account_max=24)
SILENT_S: Final = 0.02
PATIENCE_S: Final = 60.0
"""A turn that takes longer has no end."""
HUNG: Final = "without end"
CODES: Final = (1000, 1001, 1006, 1008, 1009, 1011, 1012)
IDENTITY: Final = Identity(user_agent="codex2api/isolation", originator="codex2api")
PACED: Final = {"deltas": 20, "events_per_s": 1_000}
_TAG: Final = re.compile(rb"n=(turn-[0-9]+) ")


class Plan(Struct, frozen=True):
    """What a turn is to be like."""

    knobs: dict[str, Any] = {}
    leave_after: int | None = None
    """Messages after which the caller leaves; None if it stays."""
    pause_s: float = 0.0
    """Between two reads."""
    silent: bool = False
    """Nothing will come, so the caller leaves after a moment."""


class Tally(Struct):
    """What came of all turns."""

    ends: Counter[str] = field(default_factory=Counter)
    good: set[str] = field(default_factory=set)
    """The tags of the turns that were read to a good end."""
    foreign: list[str] = field(default_factory=list)
    messages: int = 0


def plan(rng: Random) -> Plan:
    """Draw what goes wrong with a turn: for half of them nothing does."""
    at = rng.randint(1, 8)
    choices: list[tuple[float, Callable[[], Plan]]] = [
        (0.45, Plan),
        (0.05, lambda: Plan({"ws_close_after_events": at, "ws_close_code": rng.choice(CODES)})),
        (0.03, lambda: Plan(leave_after=rng.randint(0, 6))),
        # These leave while the upstream is still speaking.
        (0.06, lambda: Plan(PACED, leave_after=rng.randint(4, 14))),
        (0.04, lambda: Plan({"deltas": 60}, pause_s=0.001)),
        (0.02, lambda: Plan({"deltas": 8, "huge_event_bytes": 400_000}, pause_s=0.002)),
        (0.06, lambda: Plan({"events_after_terminal": rng.randint(1, 3)})),
        (0.06, lambda: Plan({"terminals": 2})),
        (0.03, lambda: Plan({"terminal": "failed:server_error", "terminal_at": "content"})),
        (0.03, lambda: Plan({"terminal": "error:server_error"})),
        (0.03, lambda: Plan({"fault": rng.choice(("500", "503_overloaded", "429_rate_limit"))})),
        (0.02, lambda: Plan({"malformed_json_event": at})),
        (0.02, lambda: Plan({"invalid_utf8_event": at})),
        (0.02, lambda: Plan({"ws_binary_at": at})),
        (0.03, lambda: Plan({"break_before_head": rng.choice(("fin", "rst"))})),
        (0.02, lambda: Plan({"silence": "body"}, silent=True)),
        (0.03, lambda: Plan({"skip_created": True})),
    ]
    weights = [weight for weight, _ in choices]
    return rng.choices([make for _, make in choices], weights)[0]()


class Run:
    """All turns of one run."""

    def __init__(
        self, simulator: Simulator, upstream: CodexUpstream, *, seed: int, patience_s: float
    ) -> None:
        self.tally = Tally()
        self._patience_s = patience_s
        self._simulator = simulator
        self._upstream = upstream
        self._rng = Random(seed)
        self._numbers = itertools.count()
        self._accounts = [_account(simulator, f"acct-{n + 1}") for n in range(ACCOUNTS)]

    async def turns(self, count: int, progress: Callable[[int], None]) -> None:
        """Make so many turns, some dozens at a time."""
        left = iter(range(count))

        async def caller() -> None:
            for number in left:
                await self._turn()
                progress(number + 1)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(caller())

    async def _turn(self) -> None:
        rng = self._rng
        tag, drawn = f"turn-{next(self._numbers)}", plan(rng)
        call = _call(tag, drawn, KeyId(f"caller-{rng.randrange(CALLERS)}"))
        reply: UpstreamReply | None = None
        try:
            async with asyncio.timeout(SILENT_S if drawn.silent else self._patience_s):
                reply = await self._upstream.send(rng.choice(self._accounts), call)
                await self._read(reply, tag, drawn)
        except UpstreamFailure:
            self.tally.ends["broken"] += 1
        except TimeoutError:
            self.tally.ends["left a silent one" if drawn.silent else HUNG] += 1
        finally:
            if reply is not None:
                await reply.abort()

    async def _read(self, reply: UpstreamReply, tag: str, drawn: Plan) -> None:
        tally = self.tally
        if reply.status != 200:
            tally.ends["refused"] += 1
            return
        by = "socket" if reply.messages else "http"
        kind = Kind.LIFECYCLE
        for count in itertools.count():
            if count == drawn.leave_after:
                tally.ends["left"] += 1
                return
            data = await reply.read()
            if data is None:
                tally.ends[f"whole over {by}"] += 1
                return
            tally.messages += 1
            tally.foreign += [f"{tag} read {a}" for a in _tags(data) if a != tag]
            kind = classify(data) if reply.messages else kind
            if kind.terminal:
                break
            if drawn.pause_s:
                await asyncio.sleep(drawn.pause_s)
        good = kind is Kind.COMPLETED
        tally.ends[f"whole over {by}" if good else "failed"] += 1
        if good:
            tally.good.add(tag)
        await reply.finish()


def reused(records: Iterable[Record], good: set[str]) -> list[str]:
    """Return the turns that came on a socket whose turn before had not come to a good end."""
    sockets: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        exchange, dot, _ = record.id.partition(".")
        if record.transport == "ws" and dot:
            sockets[exchange].append(record)
    found: list[str] = []
    for turns in sockets.values():
        turns.sort(key=lambda record: record.began_ns)
        for before, after in itertools.pairwise(turns):
            whole = before.terminal == "completed" and not before.client_disconnected
            if not whole or before.nonce not in good:
                found.append(f"{after.nonce} after {before.nonce} ({before.terminal})")
    return found


@asynccontextmanager
async def opened(*, seed: int, records_max: int) -> AsyncIterator[tuple[Simulator, CodexUpstream]]:
    """Start a simulator, and an upstream in front of it whose sockets are still to be entered."""
    config = fast(accounts=ACCOUNTS, records_max=records_max, knobs={"ws_idle_frames": 1})
    async with (
        Simulator(config) as simulator,
        HttpClient(proxy_url=None, ca_file=None) as client,
    ):
        base_url = simulator.addresses["upstream_base_url"]
        sockets = SocketPool(
            url="ws" + base_url.removeprefix("http") + "/codex/responses",
            dial=Dialler(proxy_url=None, tls=trust_store(None)).dial,
            clock=SystemClock(),
            rng=Random(seed),
            bounds=BOUNDS,
        )
        upstream = CodexUpstream(
            http=CodexHttp(client=client, identity=IDENTITY, base_url=base_url),
            sockets=sockets,
            identity=IDENTITY,
            reaches=lambda _: True,
        )
        upstream.transport = UpstreamTransport.WEBSOCKET
        yield simulator, upstream


async def run(
    turns: int,
    *,
    seed: int,
    patience_s: float = PATIENCE_S,
    say: Callable[[str], None] = print,
) -> bool:
    """Make a run and say what came of it; False if something was found."""
    began = time.monotonic()
    async with opened(seed=seed, records_max=4 * turns + 1_000) as (simulator, upstream):
        tasks_before = len(asyncio.all_tasks())
        sockets = upstream.sockets
        async with sockets:
            whole = Run(simulator, upstream, seed=seed, patience_s=patience_s)

            def progress(made: int) -> None:
                if made % 10_000 == 0:
                    say(f"{made} turns, {time.monotonic() - began:.0f} s")

            await whole.turns(turns, progress)
            idle = sockets.states()["idle"]
        await until(lambda: simulator.world.gauges.sockets_open == 0)
        tasks_left = len(asyncio.all_tasks()) - tasks_before
        records, overlaps = list(simulator.world.ledger.records), _overlaps(simulator)
    tally = whole.tally
    again = reused(records, tally.good)
    left = sockets.entries - len(sockets.detours)
    say(f"{turns} turns, {tally.messages} messages, {time.monotonic() - began:.0f} s, seed {seed}")
    say(f"  ends:         {dict(tally.ends.most_common())}")
    say(f"  sockets:      {dict(sockets.turns)}, closed: {dict(sockets.cleanups)}")
    say(f"  by HTTP:      {dict(upstream.fallbacks)}")
    say(f"  left at the end: {left} entries, {tasks_left} tasks, of {idle} idle sockets none")
    say(f"foreign tags read:              {len(tally.foreign)} {tally.foreign[:3] or ''}")
    say(f"poisoned sockets used again:    {len(again)} {again[:3] or ''}")
    say(f"two turns at once on a socket:  {overlaps}")
    say(f"turns without an end:           {tally.ends[HUNG]}")
    return not (tally.foreign or again or overlaps or left or tasks_left or tally.ends[HUNG])


def _tags(data: bytes) -> set[str]:
    return {found.decode() for found in _TAG.findall(data)}


def _overlaps(simulator: Simulator) -> int:
    violations = simulator.world.ledger.violations
    return sum(1 for found in violations if found.kind == "two_turns_on_a_socket")


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so that nobody says when it is."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


def _account(simulator: Simulator, name: str) -> Account:
    accounts = simulator.world.accounts
    shown = accounts.credentials(accounts.by_id[name])
    return Account(
        id=AccountId(name),
        name=name,
        kind=AccountKind.CODEX,
        credential=Credential(Secret(shown["access_token"])),
        chatgpt_account_id=shown["account_id"],
    )


def _call(tag: str, drawn: Plan, caller: KeyId) -> Call:
    knobs = {"deltas": 6, **drawn.knobs, "nonce": tag}
    text = f"[[sim {json.dumps(knobs)}]] hello {tag}"
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    body = {"model": "gpt-5.5", "instructions": "", "store": False, "stream": True, "input": [said]}
    return Call(
        id=tag,
        caller_id=caller,
        dialect=Dialect.RESPONSES,
        model="gpt-5.5",
        body=json.dumps(body).encode(),
    )


def main() -> int:
    """Run, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.isolation", description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    good = asyncio.run(run(given.turns, seed=given.seed))
    print("verdict: isolated" if good else "verdict: NOT isolated")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
