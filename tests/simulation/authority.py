"""A simulated authorization server whose refresh tokens work once, seen over a bad network.

A request that has left goes its own way: the server handles it even if the process that sent it is
dead by then. Nothing that arrives does so later than `LATE_MAX_S`, which is within the time that a
stored intent keeps other processes away.
"""

import asyncio
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from app.domain.account import AccountId, Secret
from app.ports import RenewalRefused, RenewalUnknown, RenewalUnsent, Tokens
from tests.simulation.clocks import EPOCH
from tests.simulation.loop import SimulationLoop
from tests.simulation.overseer import Overseer

if TYPE_CHECKING:
    from tests.simulation.process import Process

PATIENCE_S: Final = 30.0
"""How long a process waits for an answer."""
LATE_MAX_S: Final = 80.0


class Fate(StrEnum):
    """What becomes of an exchange."""

    ANSWERED = "answered"
    UNSENT = "unsent"
    """It certainly never left."""
    REQUEST_LOST = "request_lost"
    """It never arrives, and nobody knows."""
    REQUEST_LATE = "request_late"
    """It arrives when nobody waits for it any more."""
    REPLY_LOST = "reply_lost"
    """The token is spent, and nobody hears what it bought."""
    FAILED = "failed"
    """The server has a fault, and the token is as good as before."""
    BUSY = "busy"
    """The server asks to be left alone for a while."""


class AuthFaults(Struct, frozen=True):
    """How often what goes wrong: shares of all exchanges."""

    shares: dict[Fate, float] = {}
    slow: float = 0.0
    """Answers that take long."""


class Authority:
    """The server itself; `link` is what a process has of it."""

    def __init__(
        self,
        *,
        loop: SimulationLoop,
        overseer: Overseer,
        rng: Random,
        faults: AuthFaults,
        lifetime_s: float,
    ) -> None:
        self.loop = loop
        self.overseer = overseer
        self.rng = rng
        self.faults = faults
        self.lifetime_s = lifetime_s
        self.fates: list[Fate] = []
        """What becomes of the next exchanges; afterwards it is drawn."""
        self.current: dict[AccountId, str] = {}
        """The refresh token of an account that works."""
        self.exchanges = 0
        self._access: dict[str, float] = {}
        self._serial = 0

    def login(self, account_id: AccountId, *, left_s: float | None = None) -> Tokens:
        """Return the tokens of somebody who has logged in; those of before are void.

        `left_s` is how long the access token still lives, its whole life if nobody says.
        """
        return self._issue(account_id, self.lifetime_s if left_s is None else left_s)

    def accepts(self, access_token: str) -> bool:
        """Tell whether the upstream lets the token in now."""
        return self._access.get(access_token, 0.0) > self.loop.time()

    def revoke(self, account_id: AccountId) -> None:
        """End all access tokens of an account before their time."""
        for token in list(self._access):
            if token.startswith(f"at-{account_id}-"):
                del self._access[token]

    def link(self, process: "Process") -> "AuthLink":
        """Return the port of a process."""
        return AuthLink(self, process)

    def fate(self) -> Fate:
        """Draw what becomes of an exchange."""
        if self.fates:
            return self.fates.pop(0)
        chance = self.rng.random()
        for fate, share in self.faults.shares.items():
            chance -= share
            if chance < 0:
                return fate
        return Fate.ANSWERED

    def travel_s(self) -> float:
        """Draw how long a message takes."""
        chance = self.rng.random()
        if chance < 0.5:
            return 0.0
        return 10.0 * self.rng.random() if chance < 0.5 + self.faults.slow else self.rng.random()

    async def serve(self, process: "Process", token: str, fate: Fate) -> Tokens | RenewalRefused:
        """Handle an exchange that was sent, whatever becomes of its sender."""
        try:
            if fate is Fate.REQUEST_LATE:
                await asyncio.sleep(PATIENCE_S + (LATE_MAX_S - PATIENCE_S) * self.rng.random())
            elif fate is Fate.REQUEST_LOST:
                return RenewalRefused("lost", "", permanent=False)
            await asyncio.sleep(self.travel_s())
            match fate:
                case Fate.FAILED:
                    return RenewalRefused("http_500", "", permanent=False)
                case Fate.BUSY:
                    after_s = 10.0 * self.rng.random()
                    return RenewalRefused("http_429", "", permanent=False, retry_after_s=after_s)
            return self._spend(process, token)
        finally:
            self.overseer.exchange_ended(token)

    def _spend(self, process: "Process", token: str) -> Tokens | RenewalRefused:
        self.exchanges += 1
        account_id = AccountId(token.split("-")[1])
        if self.current.get(account_id) != token:
            return RenewalRefused("refresh_token_reused", "", permanent=True)
        self.overseer.spent(process, token, account_id, lifetime_s=self.lifetime_s)
        return self._issue(account_id, self.lifetime_s)

    def _issue(self, account_id: AccountId, left_s: float) -> Tokens:
        self._serial += 1
        refresh = self.current[account_id] = f"rt-{account_id}-{self._serial}"
        access = f"at-{account_id}-{self._serial}"
        now = self.loop.time()
        ends_at = now + left_s
        self._access = {token: end for token, end in self._access.items() if end > now}
        self._access[access] = ends_at
        return Tokens(Secret(access), Secret(refresh), None, EPOCH + ends_at)


class AuthLink:
    """Satisfies `app.ports.AuthServer` for one process."""

    def __init__(self, authority: Authority, process: "Process") -> None:
        self._authority = authority
        self._process = process

    async def renew(self, refresh_token: Secret, *, proxy_url: Secret | None) -> Tokens:
        """Send the token to the server and wait for the answer."""
        del proxy_url
        authority, token = self._authority, refresh_token.reveal()
        fate = authority.fate()
        await asyncio.sleep(0)
        if fate is Fate.UNSENT:
            raise RenewalUnsent
        overseer = authority.overseer
        dead = self._process.world.vault.is_dead(token)
        overseer.exchange_began(self._process, token, recorded=dead)
        serving = authority.loop.create_task_of(
            None, authority.serve(self._process, token, fate), name=f"serve {token}"
        )
        await asyncio.wait((serving,), timeout=PATIENCE_S)
        if not serving.done() or fate is Fate.REQUEST_LOST:
            raise RenewalUnknown
        answer = serving.result()
        await asyncio.sleep(authority.travel_s())
        if fate is Fate.REPLY_LOST:
            raise RenewalUnknown
        if isinstance(answer, RenewalRefused):
            if answer.permanent:
                overseer.told_reused(self._process, token)
            raise answer
        overseer.delivered(self._process, token)
        # The server says how long the token lives, and a clock that is wrong makes a date of it.
        ends_at = self._process.clock.now() + authority.lifetime_s
        return structs.replace(answer, expires_at=ends_at)
