"""Sees to credentials that an upstream has refused on the path of a call.

    refused ──▶ a login's ──▶ renew it soon
           └──▶ an API key ──▶ write down that it is dead ──▶ every process takes it out

Nothing renews a key, so it needs its operator, whatever the reason. Until that is written down a
restart would try the key once more, and every other process find out for itself, so a store that
is away is asked again until it is back. A key that was replaced meanwhile stays untouched.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from app.domain.account import Account, AccountId, AccountKind
from app.domain.outcome import Unauthorized
from app.errors import StateError
from app.ports import Clock

STORE_DELAY_S: Final = 2.0

Sleep = Callable[[float], Awaitable[None]]


class Renewer(Protocol):
    """Gets new credentials."""

    def urge(self, account_id: AccountId, *, generation: int) -> None:
        """Renew soon what was refused."""


class Rows(Protocol):
    """Where it is written down that a credential is dead."""

    async def refused(
        self, account_id: AccountId, *, generation: int, code: str, permanent: bool, at: float
    ) -> bool:
        """Record it; False, and nothing is recorded, if there is a newer credential."""


class Refusals:
    """One worker's. `run` must be running for anything to be written down."""

    def __init__(
        self,
        *,
        renewer: Renewer,
        rows: Rows,
        stored: Callable[[], Awaitable[None]],
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        """Take besides what is told once something was written down."""
        self._renewer = renewer
        self._rows = rows
        self._stored = stored
        self._clock = clock
        self._sleep = sleep
        self._dead: dict[AccountId, tuple[int, str]] = {}
        """Accounts whose keys are to be written down: the credential's generation, and why."""
        self._woken = asyncio.Event()

    def unauthorized(self, account: Account, outcome: Unauthorized) -> None:
        """Take note of a refusal; never waits."""
        generation = account.credential.generation
        if account.kind is not AccountKind.CODEX:
            self._dead[account.id] = (generation, outcome.reason)
            self._woken.set()
        elif not outcome.dead:
            self._renewer.urge(account.id, generation=generation)

    async def run(self) -> None:
        """Write down what is dead, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._dead:
                account_id, (generation, code) = next(iter(self._dead.items()))
                try:
                    await self._rows.refused(
                        account_id,
                        generation=generation,
                        code=code,
                        permanent=True,
                        at=self._clock.now(),
                    )
                except StateError:
                    await self._sleep(STORE_DELAY_S)
                    continue
                if self._dead.get(account_id) == (generation, code):
                    del self._dead[account_id]
            await self._stored()
