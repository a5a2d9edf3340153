"""Asks upstreams what their accounts have used, where no traffic has told it lately.

Traffic tells of limits by itself; this is for accounts without any. Each is asked soon after it
first appears, then when nothing has been heard of it for a while, and once more shortly after a
rest for its quota has ended, so that the pool doesn't find out by a refused call whether it has.

Rule 1: the questions of all accounts together are few: one begins every `SPACING_S` at most, a
        few are under way, and the more accounts there are, the less often each is asked.
Rule 2: a failure says nothing about an account's health, and not even a 401 says that its refresh
        token is dead. It is counted, and the account is left alone for longer and longer.
Rule 3: what an answer says goes to the pool. It can end a pause that followed from the quota
        (credits were bought, a window was reset early); it never ends the rest after a refusal,
        whose deadline only grows. Whoever knows better than the upstream can reset the account.

Which accounts there are and how they are is looked up by a sweep, a slice at a time; between two
sweeps only those are looked at that are due. Who is due when is decided by `probe_agenda`.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from msgspec import Struct

from app.accounts.lane import Sleep
from app.accounts.probe_agenda import Entry, ProbeAgenda
from app.domain.account import Account, AccountId, AccountKind
from app.domain.quota import QuotaView
from app.pool.state import AccountState
from app.ports import Clock, UsageServer, UsageUnavailable

SWEEP_S: Final = 10.0
SLICE: Final = 500
"""Accounts that a sweep looks at before it lets others run."""
SPACING_S: Final = 0.2
FLIGHTS_MAX: Final = 4

_log = logging.getLogger(__name__)


class Accounts(Struct, frozen=True):
    """Where accounts are looked up and answers go to; none of it may wait."""

    states: Callable[[], Iterable[AccountState]]
    """All accounts of the pool."""
    find: Callable[[AccountId], Account | None]
    observe: Callable[[AccountId, QuotaView], None]
    """Takes what an upstream said about an account."""


class Counts(Struct):
    """How questions have gone so far."""

    answered: int = 0
    refused: int = 0
    failed: int = 0


class UsageProbes:
    """The questions of one worker."""

    def __init__(
        self, *, server: UsageServer, accounts: Accounts, clock: Clock, sleep: Sleep, rng: Random
    ) -> None:
        self.counts = Counts()
        self._server = server
        self._accounts = accounts
        self._clock = clock
        self._sleep = sleep
        self._slots = asyncio.Semaphore(FLIGHTS_MAX)
        self._agenda = ProbeAgenda(rng=rng)

    @property
    def interval_s(self) -> float:
        """After how long without any news an account is asked; may be set at any time."""
        return self._agenda.interval_s

    @interval_s.setter
    def interval_s(self, seconds: float) -> None:
        self._agenda.interval_s = seconds

    async def probe_now(self, account_id: AccountId) -> QuotaView:
        """Ask for one account at once, tell the pool, and return the answer.

        It waits only for a place among the questions under way; `run` need not be running.

        Raises:
            UsageUnavailable: There is no such account, or no answer that says anything.
        """
        account = self._accounts.find(account_id)
        if account is None:
            raise UsageUnavailable("no such account")
        return await self._ask(account)

    async def run(self) -> None:
        """Ask for all accounts in their turn, until cancelled. May be run again."""
        self._agenda.recall(now=self._clock.now())
        async with asyncio.TaskGroup() as group:
            while True:
                await self._sweep()
                await self._serve(group, until=self._clock.monotonic() + SWEEP_S)

    async def _serve(self, group: asyncio.TaskGroup, *, until: float) -> None:
        """Begin what is due, until that moment of the monotonic clock."""
        while (left_s := until - self._clock.monotonic()) > 0:
            full = self._agenda.out >= FLIGHTS_MAX
            now = self._clock.now()
            entry = None if full else self._agenda.pop_due(now=now)
            if entry is not None:
                group.create_task(self._flight(entry), name="usage probe")
            if entry is not None or full:
                await self._sleep(SPACING_S)
                continue
            due_at = self._agenda.next_due_at()
            await self._sleep(left_s if due_at is None else min(left_s, due_at - now))

    async def _flight(self, entry: Entry) -> None:
        try:
            await self._ask(entry.state.account)
        except UsageUnavailable as error:
            self._agenda.failed(entry, retry_after_s=error.retry_after_s, now=self._clock.now())
            if entry.failures == 1:
                _log.warning("usage_unavailable account=%s reason=%s", entry.id, error)
        else:
            self._agenda.answered(entry, now=self._clock.now())

    async def _ask(self, account: Account) -> QuotaView:
        async with self._slots:
            try:
                view = await self._server.usage(account)
            except UsageUnavailable as error:
                if error.refused:
                    self.counts.refused += 1
                else:
                    self.counts.failed += 1
                raise
        self.counts.answered += 1
        self._accounts.observe(account.id, view)
        return view

    async def _sweep(self) -> None:
        """Take over which accounts there are, and which of them rest."""
        seen: set[AccountId] = set()
        fresh: list[AccountState] = []
        now = self._clock.now()
        for number, state in enumerate(list(self._accounts.states()), start=1):
            if not number % SLICE:
                await self._sleep(0)
            if state.account.kind is AccountKind.CODEX:
                seen.add(state.account.id)
                if not self._agenda.look(state, now=now):
                    fresh.append(state)
        self._agenda.keep(seen)
        self._agenda.enter(fresh, now=self._clock.now())
