"""A pool, a relay and a scripted upstream, for tests that read as transcripts."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest

from app.domain.account import Account, AccountId
from app.domain.call import Call
from app.domain.outcome import Outcome
from app.errors import GatewayError
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool
from app.relay.admission import Admission
from app.relay.relay import Relay, RelaySettings
from app.relay.reply import Batch, Reply
from tests.fakes.accounts import account, call
from tests.fakes.upstream import Answer, FakeUpstream
from tests.fakes.virtual import LoopClock

SETTINGS = RelaySettings(
    attempts_max=4,
    first_event_timeout_s=120.0,
    idle_timeout_s=300.0,
    prelude_bytes_max=65_536,
    event_bytes_max=1 << 20,
    reply_bytes_max=4 << 20,
    error_body_bytes_max=4_096,
    renewal_wait_s=30.0,
)


def event(type_: str, **members: Any) -> bytes:
    """Return the bytes of one event."""
    return b"event: %b\ndata: %b\n\n" % (
        type_.encode(),
        msgspec.json.encode({"type": type_, **members}),
    )


def failed(code: str, message: str = "no") -> bytes:
    """Return a `response.failed`."""
    return event("response.failed", response={"error": {"code": code, "message": message}})


def error(code: str) -> bytes:
    """Return an `error` event."""
    return event("error", error={"code": code, "message": "no"})


CREATED = event("response.created")
DELTA = event("response.output_text.delta", delta="hi")
USAGE = {"input_tokens": 3, "output_tokens": 4}
DONE = event("response.completed", response={"usage": USAGE})
WHOLE: list[Any] = [CREATED, DELTA, DONE]
TEXT = b"".join(WHOLE)


def good() -> Answer:
    """Return a whole reply."""
    return Answer(WHOLE)


async def refused(scene: "Scene", **changes: Any) -> GatewayError:
    """Return the error that ends a streaming call."""
    with pytest.raises(GatewayError) as caught:
        await scene.stream(**changes)
    return caught.value


class Heard:
    """A fold that keeps the bytes of a reply."""

    def __init__(self) -> None:
        self.raw = b""

    def feed(self, batch: Batch) -> None:
        """Take the next events."""
        assert batch.raw == b"".join(each.raw for each in batch.events)
        self.raw += batch.raw


class Scene:
    """Accounts named by the scripts, and everything that happens to them."""

    def __init__(
        self, *, accounts: list[Account] | None = None, settings: Any = None, **scripts: list[Any]
    ) -> None:
        self.upstream = FakeUpstream(**scripts)
        self.outcomes: list[str] = []
        self.seen: list[Outcome] = []
        self.begun: list[AccountId] = []
        self.heard: list[Any] = []
        self.leases: list[tuple[str, float]] = []
        self.refusals: list[tuple[str, float]] = []
        self.renewals: list[tuple[AccountId, int]] = []
        self.renewal_s: float | None = 0.0
        """How long a renewal takes; None if it is refused."""
        clock = LoopClock()
        self.pool = AccountPool(rng=Random(5), affinity=AffinityTable(entries_max=1_000, ttl_s=1e6))
        self.pool.apply(accounts or [account(name) for name in scripts], now=clock.now())
        self.admission = Admission(pool=self.pool, clock=clock, queue_max=100, queue_wait_s=30.0)
        self.relay = Relay(
            pool=self.pool,
            admission=self.admission,
            upstream=self.upstream,
            renew=self._renew,
            clock=clock,
            rng=Random(5),
            observer=self,
            settings=settings or SETTINGS,
        )

    def leased(self, call: Call, reason: str, waited_s: float) -> None:
        """Note a lease, as an observer."""
        assert call.id
        self.leases.append((reason, waited_s))

    def refused(self, call: Call, code: str, waited_s: float) -> None:
        """Note that there was none, as an observer."""
        assert call.id
        self.refusals.append((code, waited_s))

    def began(self, call: Call, account: Account) -> None:
        """Note the first content of an attempt, as an observer."""
        assert call.id
        self.begun.append(account.id)

    def attempt(self, call: Call, account: Account, outcome: Outcome, heard: Any) -> None:
        """Note an attempt that is over, as an observer."""
        del call
        self.seen.append(outcome)
        self.heard.append(heard)
        self.outcomes.append(f"{account.id} {type(outcome).__name__}")

    async def stream(self, **changes: Any) -> bytes:
        """Return what a caller that streams gets, and check the books."""
        heard = Heard()
        try:
            reply = await self.open(**changes)
            try:
                await reply.flow(heard.feed)
            finally:
                await reply.close()
                await reply.close()
        finally:
            self.check()
        return heard.raw

    async def open(self, **changes: Any) -> Reply:
        """Open a call that prefers account `a`."""
        return await self.relay.open(self._call(changes))

    async def whole(self, make: Callable[[], Any] = Heard, **changes: Any) -> bytes:
        """Return what a caller that does not stream gets, and check the books."""
        try:
            fold = await self.relay.whole(self._call(changes), make)
        finally:
            self.check()
        return fold.raw

    def check(self) -> None:
        """Every lease was settled, and every reply let go of."""
        assert self.pool.leases == 0
        opened = [line for line in self.upstream.log if line.endswith("asked")]
        assert len(self.outcomes) == len(opened)
        let_go = [line for line in self.upstream.log if not line.endswith("asked")]
        assert len(let_go) <= len(opened)

    def health(self, name: str) -> str:
        """Return an account's health."""
        return next(s.health.value for s in self.pool.states if s.account.id == name)

    def bodies(self) -> list[bytes]:
        """Return what was sent upstream."""
        return [sent.body for _, sent in self.upstream.calls]

    def _call(self, changes: dict[str, Any]) -> Call:
        self.pool.bind("home", AccountId("a"), now=LoopClock().now())
        return call(**({"session_key": "home"} | changes))

    async def _renew(self, account_id: AccountId, generation: int) -> Account | None:
        self.renewals.append((account_id, generation))
        if self.renewal_s is None:
            return None
        await asyncio.sleep(self.renewal_s)
        renewed = account(account_id, generation=generation + 1)
        self.pool.put(renewed, now=LoopClock().now())
        return renewed
