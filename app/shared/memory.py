"""Shared state in memory: a `Hub` in place of a server, one `MemoryShared` for each member.

A gateway of one process is the only member of its hub: it has nobody to tell anything, gets every
lease that it has not given out itself, and holds every account whole. With several members, as
tests have it, a hub behaves as Redis does for as long as that is there: it is the plain reading of
what `app.shared.scripts` says in Lua, and one suite of tests holds both to the same promises. A hub
is never lost, so nothing here is about losing and finding.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct, field

from app.domain.account import AccountId
from app.domain.shared import (
    URGENT,
    AccountTally,
    Binding,
    Bound,
    Claim,
    Draining,
    Fence,
    KeySpent,
    Missed,
    News,
    Presence,
    Rung,
    SharedEvent,
    Snapshot,
    Tidings,
)
from app.ports import SharedView
from app.shared.codec import Announcement, Page
from app.shared.peers import Peers
from app.shared.shares import GAP_S, GONE_S, GRACE_S, LOST_S, granted

EVENTS_MAX: Final = 1_000
BELL_S: Final = 1.0

Row = AccountTally | KeySpent


class _Member(Struct):
    seen_at: float
    presence: Presence = Presence()
    changes: int = 0
    rows: dict[tuple[type[Row], str], tuple[int, Row]] = field(default_factory=dict)
    """Rows with the number of the change that brought them."""
    held: dict[AccountId, int] = field(default_factory=dict)
    urgent: bool = False
    rung: asyncio.Event = field(default_factory=asyncio.Event)
    bound: deque[Binding] = field(default_factory=lambda: deque(maxlen=EVENTS_MAX))


class _Lease(Struct):
    fence: Fence
    holder: str
    ends_at: float


class Hub:
    """What a server would keep; `now` is its own clock, in seconds."""

    def __init__(self, *, now: Callable[[], float], gone_s: float = GONE_S) -> None:
        self.now = now
        self.gone_s = gone_s
        self.members: dict[str, _Member] = {}
        self.events: deque[Announcement] = deque(maxlen=EVENTS_MAX)
        self.announced = 0
        """How many events there ever were."""
        self.leases: dict[str, _Lease] = {}
        self.fence = 0
        self._heard_at = now()
        self._quiet_until = now()

    @property
    def quiet(self) -> bool:
        """Tell whether nobody is granted anything, since others may not have been heard yet."""
        return self.now() < self._quiet_until

    def hear(self) -> None:
        """Note that somebody says something; after a silence of all, others may follow."""
        if self.now() - self._heard_at > GAP_S:
            self._quiet_until = self.now() + GRACE_S
        self._heard_at = self.now()

    def member(self, name: str) -> _Member:
        """Return a member, a new one if need be."""
        found = self.members.get(name)
        if found is None:
            found = self.members[name] = _Member(self.now())
        return found

    def alive(self, name: str) -> bool:
        """Tell whether a member was heard of lately."""
        return self.now() - self.members[name].seen_at <= self.gone_s

    def lost(self, name: str) -> bool:
        """Tell whether a member was heard of once, but not for so long that it won't come back."""
        member = self.members.get(name)
        return member is not None and not self.quiet and self.now() - member.seen_at > LOST_S


class MemoryShared:
    """One member's link to the others; satisfies `app.ports.SharedState`."""

    up = True

    def __init__(self, hub: Hub, *, incarnation: str) -> None:
        self.incarnation: Final = incarnation
        self._hub = hub
        self._peers = Peers(incarnation)
        self._number = 0
        self._outbox: list[SharedEvent] = []
        self._heard: int | None = None

    def view(self) -> SharedView:
        """Return what the others have said."""
        return self._peers

    def announce(self, event: SharedEvent) -> None:
        """Keep an event for the next round."""
        self._outbox.append(event)

    async def publish(self, snapshot: Snapshot) -> Tidings:
        """Say what is new and hear what is; see `app.ports.SharedState`."""
        hub, me = self._hub, self._hub.member(self.incarnation)
        hub.hear()
        me.seen_at, me.presence = hub.now(), snapshot.presence
        me.changes += 1
        rows: tuple[Row, ...] = (*snapshot.accounts, *snapshot.keys)
        for row in rows:
            me.rows[type(row), row.id] = (me.changes, row)
        for event in self._outbox:
            self._number += 1
            hub.announced += 1
            hub.events.append(Announcement(self.incarnation, self._number, event))
        if snapshot.urgent or any(isinstance(event, URGENT) for event in self._outbox):
            for name, member in hub.members.items():
                if name != self.incarnation:
                    member.urgent = True
                    member.rung.set()
        self._outbox.clear()
        self._hear()
        return Tidings(self._news())

    async def claim(self, claims: Sequence[Claim]) -> Sequence[int]:
        """Record shares; see `app.ports.SharedState`."""
        hub, answer = self._hub, []
        mine = hub.member(self.incarnation).held
        for claim in claims:
            others = sum(
                member.held.get(claim.account_id, 0)
                for name, member in hub.members.items()
                if name != self.incarnation and hub.alive(name)
            )
            held = claim.keep if hub.quiet else granted(claim, others=others)
            mine[claim.account_id] = held
            answer.append(mine[claim.account_id])
        return answer

    async def lease(self, name: str, *, ttl_s: float) -> Fence | None:
        """Lease a name; see `app.ports.SharedState`."""
        hub = self._hub
        held = hub.leases.get(name)
        if held is not None and hub.now() < held.ends_at and not hub.lost(held.holder):
            return None
        hub.fence += 1
        fence = Fence(name, hub.fence)
        hub.leases[name] = _Lease(fence, self.incarnation, hub.now() + ttl_s)
        return fence

    async def release(self, fence: Fence, *, after_s: float = 0.0) -> None:
        """Give a lease back; see `app.ports.SharedState`."""
        held = self._hub.leases.get(fence.name)
        if held is not None and held.fence == fence:
            held.ends_at = self._hub.now() + after_s

    async def bind(self, bindings: Sequence[Binding]) -> None:
        """Tell the others at once what belongs to which account."""
        for name, member in self._hub.members.items():
            if name != self.incarnation:
                member.bound += bindings
                member.rung.set()

    async def bell(self) -> Rung | Bound | None:
        """Wait for another member to speak up, `BELL_S` at most."""
        me = self._hub.member(self.incarnation)
        try:
            async with asyncio.timeout(BELL_S):
                await me.rung.wait()
        except TimeoutError:
            return None
        if me.urgent:
            me.urgent = False
            if not me.bound:
                me.rung.clear()
            return Rung()
        me.rung.clear()
        bound = Bound(tuple(me.bound))
        me.bound.clear()
        return bound

    async def leave(self) -> None:
        """Go in good order."""
        me = self._hub.member(self.incarnation)
        me.held.clear()
        me.seen_at = self._hub.now() - 2 * self._hub.gone_s

    def _hear(self) -> None:
        hub, peers = self._hub, self._peers
        for name, member in hub.members.items():
            if name == self.incarnation:
                continue
            known = peers.known.get(name, 0)
            news = [row for change, row in member.rows.values() if change > known]
            page = Page(
                [row for row in news if isinstance(row, AccountTally)],
                [row for row in news if isinstance(row, KeySpent)],
            )
            peers.read(name, page, number=member.changes)
            peers.seen(name, member.presence, live=hub.alive(name))
        peers.settle(hub.members.keys(), now=hub.now())

    def _news(self) -> list[News]:
        first, heard = self._heard is None, self._heard or 0
        wanted = self._hub.announced - heard
        self._heard = self._hub.announced
        kept = list(self._hub.events)[-wanted:] if wanted else []
        found: list[News] = [Missed()] if wanted > len(kept) and not first else []
        for said in kept:
            fresh = self._peers.news(said)
            found += [each for each in fresh if not (first and isinstance(each, Draining))]
        return found
