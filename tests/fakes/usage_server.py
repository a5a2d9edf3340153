"""A server of usage: counts who asked when, and answers or fails as a test says."""

import asyncio
from collections.abc import Callable

from app.domain.account import Account, AccountId
from app.domain.quota import QuotaView
from app.ports import Clock, UsageUnavailable


class FakeUsageServer:
    """Satisfies `app.ports.UsageServer`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asked: list[tuple[float, AccountId]] = []
        """Monotonic seconds and the account."""
        self.says: Callable[[Account], QuotaView] = lambda _: QuotaView(plan="plus")
        self.faults: dict[AccountId, list[BaseException]] = {}
        """Raised in their order instead of answers."""
        self.gate: asyncio.Event | None = None
        """Where set, an answer waits for it."""
        self.under_way = 0
        self.under_way_max = 0

    async def usage(self, account: Account) -> QuotaView:
        """Answer or fail."""
        self.asked.append((self._clock.monotonic(), account.id))
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        try:
            if self.gate is not None:
                await self.gate.wait()
            faults = self.faults.get(account.id)
            if faults:
                raise faults.pop(0)
            return self.says(account)
        finally:
            self.under_way -= 1

    def refuse(self, account_id: AccountId, times: int = 1) -> None:
        """Let the next answers for an account be refusals of its credential."""
        faults = self.faults.setdefault(account_id, [])
        faults += [UsageUnavailable("status 401", refused=True) for _ in range(times)]
