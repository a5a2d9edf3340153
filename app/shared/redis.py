"""Shared state in Redis: one script a round says what is new and brings what the others said.

Redis is asked by background work only, and may be away at any time, from the start on: then what
was said last stays true for as long as it can, and what is to be said is kept until it can be said.
A breaker sees to it that a server that does not answer is asked once a second and not more. A
server that lost everything is told everything again, also what only we know any more of those that
are gone.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from math import ceil
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.commands.core import AsyncScript

from app.domain.shared import (
    URGENT,
    Binding,
    Bound,
    Claim,
    Draining,
    Fence,
    Missed,
    News,
    Rung,
    SharedEvent,
    Snapshot,
    Tidings,
)
from app.ports import Clock, SharedUnavailable, SharedView
from app.shared import scripts
from app.shared.breaker import Breaker
from app.shared.client import FAULTS, STEP_S
from app.shared.codec import Announcement, Whisper, announcement, encoded, page, presence, whisper
from app.shared.image import Image
from app.shared.inspection import trouble
from app.shared.peers import RETIRED, Peers
from app.shared.shares import GAP_S, GONE_S, GRACE_S, LOST_S

EVENTS_MAX: Final = 1_000
"""Events that wait to be announced, and announcements that Redis keeps."""
PAGES_BYTES_MAX: Final = 256 * 1024
"""As much as one answer brings; the rest comes with the next, at once."""
ROUNDS_MAX: Final = 256
KEEP_S: Final = 35 * 86_400.0
"""What nobody refreshes goes after this: longer than the month of a budget."""
OWNED_S: Final = 7 * 86_400.0
"""How long it is kept whose an encrypted item is: as long as the backend's own items live."""
BELL_S: Final = 1.0
CHANNELS: Final = (scripts.BELL, scripts.BOUND)

_log = logging.getLogger(__name__)


Asked = Callable[[Sequence[bytes | str | float]], Awaitable[Any]]


class Pace(Struct, frozen=True):
    """How long things may take, in seconds; only tests have another one."""

    step_s: float = STEP_S
    gone_s: float = GONE_S
    """Without a word for this long a process is not alive."""
    gap_s: float = GAP_S
    """If nobody at all was heard of for this long, the server was away."""
    grace_s: float = GRACE_S
    fold_s: float = 60.0
    """Without a word for this long a process does not come back, as a rule."""


class RedisShared:
    """One process's link to the others; satisfies `app.ports.SharedState`."""

    def __init__(
        self, *, client: Redis, incarnation: str, clock: Clock, pace: Pace | None = None
    ) -> None:
        self.incarnation: Final = incarnation
        self.failures = 0
        """Questions that were not answered."""
        self._client = client
        self._clock = clock
        self._pace = pace or Pace()
        self._breaker = Breaker()
        self._image = Image()
        self._peers = Peers(incarnation)
        self._outbox: deque[tuple[int, bytes, bool]] = deque(maxlen=EVENTS_MAX)
        self._numbers = count(1)
        self._questions = count(1)
        self._born = ""
        self._heard = 0
        """The number of the last event that was heard."""
        self._ages: dict[str, float] = {}
        self._bereft = False
        """Redis has lost the figures of those that are gone, and we have them."""
        self._pubsub: PubSub | None = None
        self._link: Callable[[], Awaitable[object]] = client.ping
        self._sync = _script(client, scripts.SYNC)
        self._fold = _script(client, scripts.FOLD)
        self._restore = _script(client, scripts.RESTORE)
        self._claim = _script(client, scripts.CLAIM)
        self._lease = _script(client, scripts.LEASE)
        self._release = _script(client, scripts.RELEASE)
        self._leave = _script(client, scripts.LEAVE)
        self._bind = _script(client, scripts.BIND)

    @property
    def up(self) -> bool:
        """False while Redis does not answer, or has not been asked yet."""
        return self._breaker.closed and self._peers.heard_at is not None

    def view(self) -> SharedView:
        """Return what the others have said."""
        return self._peers

    def announce(self, event: SharedEvent) -> None:
        """Keep an event for the next round.

        If too many wait, the oldest go: the others see the gap in the numbers and read everything
        anew.
        """
        number = next(self._numbers)
        raw = encoded(Announcement(self.incarnation, number, event))
        self._outbox.append((number, raw, isinstance(event, URGENT)))

    async def publish(self, snapshot: Snapshot) -> Tidings:
        """Say what is new and hear what is; see `app.ports.SharedState`."""
        self._image.change(snapshot.accounts)
        self._image.change(snapshot.keys)
        who = encoded(snapshot.presence)
        news: list[News] = []
        held, more = True, True
        for number in range(ROUNDS_MAX):
            if not more:
                break
            reply = await self._round(who, ring=number == 0 and snapshot.urgent)
            more, known = await self._take(reply, news)
            held &= known
        with suppress(SharedUnavailable):
            await self._tidy()
        return Tidings(news, held)

    async def claim(self, claims: Sequence[Claim]) -> Sequence[int]:
        """Record shares; see `app.ports.SharedState`."""
        if not claims:
            return []
        rows = encoded([[each.account_id, each.cap, each.keep, each.target] for each in claims])
        number = next(self._questions)
        held = await self._ask(self._claim, self.incarnation, _ms(self._pace.gone_s), number, rows)
        if len(held) != len(claims):
            raise SharedUnavailable("a claim came too late")
        return [int(credits_) for credits_ in held]

    async def lease(self, name: str, *, ttl_s: float) -> Fence | None:
        """Lease a name; see `app.ports.SharedState`."""
        lost = _ms(LOST_S)
        number = int(await self._ask(self._lease, name, self.incarnation, _ms(ttl_s), lost))
        return Fence(name, number) if number else None

    async def release(self, fence: Fence, *, after_s: float = 0.0) -> None:
        """Give a lease back; one that can't be given back ends by itself."""
        holder = f"{self.incarnation}:{fence.number}"
        with suppress(SharedUnavailable):
            await self._ask(self._release, fence.name, holder, _ms(after_s))

    async def bind(self, bindings: Sequence[Binding]) -> None:
        """Tell those who listen; see `app.ports.SharedState`."""
        owned: list[bytes | str] = []
        for each in bindings:
            if each.owned:
                owned += [each.key, encoded(each)]
        said = encoded(Whisper(self.incarnation, list(bindings)))
        await self._ask(self._bind, said, _ms(OWNED_S), *owned)

    async def leave(self) -> None:
        """Go in good order, if Redis is there to hear it."""
        with suppress(SharedUnavailable):
            await self._ask(self._leave, self.incarnation, _ms(self._pace.gone_s))

    async def bell(self) -> Rung | Bound | None:
        """Wait for another process to speak up, `BELL_S` at most."""
        if not self.up:
            await asyncio.sleep(BELL_S)
            return None
        try:
            if self._pubsub is None:
                self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)
                async with asyncio.timeout(self._pace.step_s):
                    await self._pubsub.subscribe(*CHANNELS)
                for _ in CHANNELS:  # the server's word that it has heard so
                    await self._pubsub.get_message(timeout=self._pace.step_s)
            message = await self._pubsub.get_message(timeout=BELL_S)
        except FAULTS:
            await self._hang_up()
            await asyncio.sleep(BELL_S)
            return None
        if message is None:
            return None
        if message["channel"] == scripts.BELL.encode():
            return None if message["data"] == self.incarnation.encode() else Rung()
        said = whisper(message["data"])
        if said is None or said.incarnation == self.incarnation:
            return None
        return Bound(said.bindings)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._hang_up()
        await self._client.aclose()

    async def _hang_up(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            with suppress(*FAULTS):
                async with asyncio.timeout(self._pace.step_s):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py has no type there

    async def _round(self, who: bytes, *, ring: bool) -> list[Any]:
        """Ask once, or twice if Redis has lost what we said; return the answer."""
        sent = list(self._outbox)
        pace = self._pace
        for _ in range(2):
            write = self._image.write()
            said: dict[str, object] = {
                "me": self.incarnation,
                "low": write.low,
                "high": write.high,
                "head": write.head,
                "anew": write.anew,
                "pages": [number for number, _ in write.pages],
                "drops": write.drops,
                "announced": len(sent),
                "ring": ring or any(urgent for _, _, urgent in sent),
                "born": self._born,
                "heard": self._heard,
                "known": self._peers.known,
                "gap": _ms(pace.gap_s),
                "grace": _ms(pace.grace_s),
                "keep": _ms(KEEP_S),
                "events_max": EVENTS_MAX,
                "bytes_max": PAGES_BYTES_MAX,
            }
            pages = [raw for _, raw in write.pages]
            events = [raw for _, raw, _ in sent]
            reply = await self._ask(self._sync, encoded(said), who, *pages, *events)
            if reply[1]:
                self._image.accepted(write)
                last = sent[-1][0] if sent else 0
                while self._outbox and self._outbox[0][0] <= last:
                    self._outbox.popleft()
                return list(reply)
            self._image.lost()
        raise SharedUnavailable("Redis keeps losing what it is told")

    async def _take(self, reply: list[Any], news: list[News]) -> tuple[bool, bool]:
        """Take over an answer; tells whether there is more, and whether our shares are known."""
        born, _, held, events, missed, announced, more, peers = reply
        first = not self._born
        self._bereft |= not first and born.decode() != self._born
        self._born, self._heard = born.decode(), int(events)
        if missed:
            news.append(Missed())
        for raw in announced:
            said = announcement(raw)
            if said is None:
                news.append(Missed())
                continue
            # Those of before our time were not meant for us, if they are orders.
            fresh = self._peers.news(said)
            news += [each for each in fresh if not (first and isinstance(each, Draining))]
        for name, age_ms, who, restarted, *pages in peers:
            await self._hear(name.decode(), pages, restarted=bool(restarted))
            live = age_ms <= _ms(self._pace.gone_s)
            self._peers.seen(name.decode(), presence(who), live=live)
        ages = {name.decode(): age_ms / 1_000 for name, age_ms, *_ in peers}
        self._ages = ages
        self._peers.settle(ages.keys(), now=self._clock.monotonic())
        return bool(more), bool(held)

    async def _hear(self, name: str, pages: Sequence[Any], *, restarted: bool) -> None:
        if restarted:
            self._peers.restart(name)
        for number, raw in zip(pages[::2], pages[1::2], strict=True):
            self._peers.read(name, page(raw), number=int(number))
            # A page takes some hundred microseconds; streams go on in between.
            await asyncio.sleep(0)

    async def _tidy(self) -> None:
        """Retire one process that is gone, or tell the server of one that it has forgotten."""
        keep = _ms(KEEP_S)
        ages = self._ages
        for name, age_s in ages.items():
            if name != RETIRED and age_s > self._pace.fold_s:
                await self._ask(self._fold, name, _ms(self._pace.fold_s), keep)
                return
        since = self._clock.monotonic() - self._pace.gone_s
        lost = self._peers.forgotten(since=since)
        if self._bereft:
            self._bereft = False
            lost.insert(0, RETIRED)
        for name in lost:
            head, rows = self._peers.image(name)
            if head:
                age = _ms(2 * self._pace.gone_s)
                await self._ask(self._restore, name, head, encoded(rows), age, keep)

    async def _ask(self, script: Asked, *args: bytes | str | float) -> Any:
        """Run a script, if the breaker lets us.

        Raises:
            SharedUnavailable: No answer, or no good one.
        """
        if not self._breaker.admits(self._clock.monotonic()):
            raise SharedUnavailable("Redis did not answer a moment ago")
        try:
            if not self.up:
                # A new connection may take as long as an answer may.
                async with asyncio.timeout(self._pace.step_s):
                    await self._link()
            async with asyncio.timeout(self._pace.step_s):
                reply = await script(args)
        except FAULTS as error:
            self.failures += 1
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            if self._breaker.failed(self._clock.monotonic()):
                found, remedy = trouble(error)
                _log.warning("redis_away reason=%s; going on with what is known. %s", found, remedy)
            raise SharedUnavailable(reason) from None
        if self._breaker.succeeded():
            _log.info("redis_back")
        return reply


def _script(client: Redis, text: str) -> Asked:
    script: AsyncScript = client.register_script(text)
    return lambda args: script(args=args)


def _ms(seconds: float) -> int:
    return ceil(seconds * 1_000)
