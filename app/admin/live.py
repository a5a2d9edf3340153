"""Live state for those who watch: looked at once a second, told to each as fast as it listens.

While nobody watches nothing is looked at. A watcher that is slow gets what is newest when it comes
back: its numbers are replaced, its accounts are kept once each, of the requests the latest are
kept. So what waits for a watcher is bounded, and no watcher slows another one, or a call.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from msgspec import Struct

from app.admin.overview import Numbers, Overview
from app.admin.roster import SLICE, AccountRow, Roster
from app.domain.account import AccountId
from app.domain.ledger import Answered
from app.errors import TooManyRequests

TICK_S: Final = 1.0
WATCHERS_MAX: Final = 32
ACCOUNTS_MAX: Final = 200
"""Changed accounts that are told at a time; when there are more, `more` says so."""
REQUESTS_MAX: Final = 100
HEARTBEAT_S: Final = 15.0


class RequestTail(Struct, frozen=True):
    """A request that has just been answered by this worker."""

    uid: str
    request_id: str
    at: float
    caller_id: str | None
    dialect: str
    model: str | None
    stream: bool
    status: int
    code: str
    attempts: int
    first_event_s: float | None
    seconds: float


class ChangedAccounts(Struct, frozen=True):
    """Accounts that have changed, as they are now; `more` says that others have as well."""

    rows: list[AccountRow]
    more: bool


class LatestRequests(Struct, frozen=True):
    """Requests that were answered since the last of these, the latest last."""

    rows: list[RequestTail]
    missed: int
    """How many more there were."""


class StoreRevision(Struct, frozen=True):
    """Accounts, keys or settings were changed: what was read of them is to be read again."""

    revision: int


LiveData = Numbers | ChangedAccounts | LatestRequests | StoreRevision


class LiveEvent(Struct, frozen=True):
    """One event of the stream; `name` is `numbers`, `accounts`, `requests` or `revision`."""

    name: str
    data: LiveData | None
    """None for a sign of life."""


class Watcher:
    """What waits for one who watches."""

    def __init__(self) -> None:
        self.numbers: Numbers | None = None
        self.accounts: dict[AccountId, AccountRow] = {}
        self.more = False
        self.requests: deque[RequestTail] = deque(maxlen=REQUESTS_MAX)
        self.missed = 0
        self.revision: int | None = None
        self.ended = False
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Let it take what there is."""
        self._woken.set()

    async def wait(self) -> None:
        """Return once there is something, or a sign of life is due."""
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    def take(self) -> list[LiveEvent]:
        """Return what there is, and forget it."""
        found: list[LiveEvent] = []
        if self.revision is not None:
            found.append(LiveEvent("revision", StoreRevision(self.revision)))
        if self.numbers is not None:
            found.append(LiveEvent("numbers", self.numbers))
        if self.accounts or self.more:
            rows = list(self.accounts.values())
            found.append(LiveEvent("accounts", ChangedAccounts(rows, self.more)))
        if self.requests:
            rows_of = list(self.requests)
            found.append(LiveEvent("requests", LatestRequests(rows_of, self.missed)))
        self.numbers, self.revision = None, None
        self.accounts, self.more = {}, False
        self.requests.clear()
        self.missed = 0
        return found or [LiveEvent("", None)]

    def change(self, rows: Sequence[AccountRow], *, more: bool) -> None:
        """Keep accounts that have changed."""
        for row in rows:
            if row.id in self.accounts or len(self.accounts) < ACCOUNTS_MAX:
                self.accounts[row.id] = row
            else:
                self.more = True
        self.more = self.more or more

    def answered(self, tail: Sequence[RequestTail]) -> None:
        """Keep requests that were answered."""
        for row in tail:
            self.missed += len(self.requests) == REQUESTS_MAX
            self.requests.append(row)


class LiveFeed:
    """Looks, and tells all watchers. `run` must be running."""

    def __init__(
        self,
        *,
        overview: Overview,
        roster: Roster,
        answered: Callable[[], tuple[int, Sequence[Answered]]],
    ) -> None:
        """Take what returns how many requests were answered so far, and the last of them."""
        self._overview = overview
        self._roster = roster
        self._answered = answered
        self._watchers: set[Watcher] = set()
        self._marks: dict[AccountId, tuple[object, ...]] = {}
        self._count = 0
        self._revision = -1
        self._wanted = asyncio.Event()
        self._numbers: Numbers | None = None
        """What was seen less than a tick ago."""

    def __len__(self) -> int:
        return len(self._watchers)

    async def watch(
        self, *, admitted: Callable[[], bool] = lambda: True
    ) -> AsyncGenerator[LiveEvent, None]:
        """Yield events until the worker drains, or `admitted` says no.

        Raises:
            TooManyRequests: Too many watch already.
        """
        if len(self._watchers) >= WATCHERS_MAX:
            raise TooManyRequests(
                f"{WATCHERS_MAX} watch already.", code="too_many_watchers", retry_after_s=30.0
            )
        if not self._watchers:
            self._begin()
        watcher = Watcher()
        if self._numbers is not None:
            # Whoever reloads the page need not wait for the next look.
            watcher.numbers = self._numbers
            watcher.wake()
        self._watchers.add(watcher)
        self._wanted.set()
        try:
            while not watcher.ended and admitted():
                await watcher.wait()
                for event in watcher.take():
                    yield event
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._wanted.clear()

    async def run(self) -> None:
        """Look once a second while anybody watches, until cancelled."""
        while True:
            await self._wanted.wait()
            await self.look()
            await asyncio.sleep(TICK_S)
            if not self._watchers:
                self._numbers = None

    async def look(self) -> None:
        """Look once, and tell."""
        self._numbers = numbers = await self._overview.numbers()
        rows, more = await self._changed()
        tail = self._tail()
        revision = self._overview.revision
        for watcher in tuple(self._watchers):
            watcher.numbers = numbers
            watcher.change(rows, more=more)
            watcher.answered(tail)
            if revision != self._revision:
                watcher.revision = revision
            watcher.ended = self._overview.draining
            watcher.wake()
        self._revision = revision

    def _begin(self) -> None:
        """Take what is now for known: whoever begins to watch has just read it."""
        self._count, _ = self._answered()
        self._marks = {each: self._roster.mark(each) for each in self._roster.ids()}
        self._revision = self._overview.revision

    async def _changed(self) -> tuple[list[AccountRow], bool]:
        marks, more = self._marks, False
        rows: list[AccountRow] = []
        ids = self._roster.ids()
        for number, account_id in enumerate(ids, start=1):
            if not number % SLICE:
                await asyncio.sleep(0)
            mark = self._roster.mark(account_id)
            if marks.get(account_id) == mark:
                continue
            marks[account_id] = mark
            row = self._roster.row(account_id) if len(rows) < ACCOUNTS_MAX else None
            if row is None:
                more = True
            else:
                rows.append(row)
        if len(marks) > len(ids):
            for gone in marks.keys() - set(ids):
                del marks[gone]
        return rows, more

    def _tail(self) -> list[RequestTail]:
        count, latest = self._answered()
        fresh = (
            list(latest)[-min(count - self._count, len(latest)) :] if count > self._count else []
        )
        self._count = count
        return [
            RequestTail(
                uid=each.uid,
                request_id=each.request_id,
                at=each.at,
                caller_id=each.caller_id,
                dialect=each.dialect,
                model=each.model,
                stream=each.stream,
                status=each.status,
                code=each.code,
                attempts=each.attempts,
                first_event_s=each.first_event_s,
                seconds=each.seconds,
            )
            for each in fresh
        ]
