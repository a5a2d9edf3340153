"""What a call costs in the relay and the pool, the upstream and the caller left out. Run by hand.

PYTHONPATH=. .venv/bin/python tests/bench/relay_call.py
"""

import asyncio
import time
from random import Random

from app.domain.account import AccountId
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool
from app.relay.admission import Admission
from app.relay.relay import Relay
from tests.fakes.accounts import account, call
from tests.fakes.upstream import SSE
from tests.relay.scene import CREATED, DELTA, DONE, SETTINGS

ROUNDS = 10_000
ACCOUNTS = 100
USUAL = [("date", "x"), ("x-request-id", "y"), ("cf-ray", "z"), ("openai-model", "m1"), SSE]
QUOTA = [
    (f"x-codex-{slot}-{metric}", value)
    for slot, minutes in (("primary", "300"), ("secondary", "10080"))
    for metric, value in (
        ("used-percent", "37.5"), ("window-minutes", minutes), ("reset-after-seconds", "9000"),
    )
]  # fmt: skip


class Clock:
    """The real one."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class Upstream:
    """Answers at once, always the same; upstream and reply in one."""

    status = 200
    messages = False
    retold = feed = None

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.headers = headers
        self._pieces: list[bytes] = []

    async def send(self, _account, _call) -> "Upstream":
        """Begin a reply."""
        self._pieces = [DONE, CREATED + DELTA]
        return self

    async def read(self) -> bytes | None:
        """Return the next piece."""
        return self._pieces.pop() if self._pieces else None

    async def finish(self) -> None:
        """Let go."""

    abort = finish


class Silent:
    """Is told everything and keeps nothing."""

    def leased(self, *_told) -> None:
        """Nothing."""

    refused = began = attempt = leased


async def cost_us(headers: list[tuple[str, str]], **fields) -> float:
    """Return the CPU time of one call, in microseconds."""
    pool = AccountPool(rng=Random(1), affinity=AffinityTable(entries_max=1_000, ttl_s=1e6))
    accounts = [account(f"a{n}") for n in range(ACCOUNTS)]
    pool.apply(accounts, now=time.time())
    for key in fields.get("owner_keys", ()):
        pool.bind(key, AccountId("a1"), now=time.time())
    admission = Admission(pool=pool, clock=Clock(), queue_max=9, queue_wait_s=9.0)
    relay = Relay(
        pool=pool,
        admission=admission,
        upstream=Upstream(headers),
        renew=None,
        clock=Clock(),
        rng=Random(1),
        observer=Silent(),
        settings=SETTINGS,
    )
    asked = call(**fields)
    started = time.process_time()
    for _ in range(ROUNDS):
        reply = await relay.open(asked)
        while await reply.read() is not None:
            pass
        await reply.close()
    return (time.process_time() - started) / ROUNDS * 1e6


def main() -> None:
    """Print a line for each kind of call."""
    kinds = {
        "a plain call": (USUAL, {}),
        "with a session": (USUAL, {"session_key": "s"}),
        "with quota headers": ([*USUAL, *QUOTA], {}),
        "with quota headers and a session": ([*USUAL, *QUOTA], {"session_key": "s"}),
        "with 30 encrypted items": (USUAL, {"owner_keys": tuple(f"k:{n}" for n in range(30))}),
    }
    for name, (headers, fields) in kinds.items():
        best = min(asyncio.run(cost_us(headers, **fields)) for _ in range(3))
        print(f"{name:34} {best:6.1f} us")


if __name__ == "__main__":
    main()
