"""One renewal of one account: from the stored refresh token to its stored successor.

A refresh token can be spent once, so the order of the steps is the point: read it, note the
intent, spend it, store what it bought, and only then let anybody use that. From the exchange
on there is no way back: what was bought is held until the store takes it. How a renewal ended
is a value; what follows from it (deadlines, news) is decided by the renewer.

`Lane` lets the accounts of one client id pass one at a time. Nothing is tried twice in here.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct, structs

from app.accounts.claims import read
from app.domain.account import Account, AccountId, Secret
from app.errors import StateError
from app.ports import (
    AuthServer,
    Clock,
    CredentialStore,
    RenewalRefused,
    RenewalUnknown,
    RenewalUnsent,
    Tokens,
)

STORE_DELAY_S = 1.0
"""Between two tries to store what an exchange bought."""

STORE_TRIES_CLOSING = 5
"""When the gateway closes meanwhile, the store gets this many tries in all."""

STORE_TRIES_DEFECT = 60
"""When the store is there but fails in a way that it should not."""

Sleep = Callable[[float], Awaitable[None]]

_log = logging.getLogger(__name__)


class AccountSource(Protocol):
    """Where accounts are read as they are now."""

    async def account(self, account_id: AccountId) -> Account | None:
        """Return one account, None if it is gone.

        Raises:
            StateError: The store is away.
        """

    async def accounts(self) -> Sequence[Account]:
        """Return all accounts.

        Raises:
            StateError: The store is away.
        """


class Renewed(Struct, frozen=True):
    """The exchange succeeded and its result is stored."""

    account: Account


class Adopted(Struct, frozen=True):
    """Another process had renewed the account; this is what it stored."""

    account: Account


class Refused(Struct, frozen=True):
    """The authorization server said no; `permanent` if the refresh token is dead."""

    code: str
    permanent: bool


class Uncertain(Struct, frozen=True):
    """The refresh token may be spent and nothing came of it."""

    code: str


class Postponed(Struct, frozen=True):
    """Nothing was spent; it may be tried again."""

    code: str


class Closed(Struct, frozen=True):
    """The gateway closes, so the exchange was not begun."""


Result = Renewed | Adopted | Refused | Uncertain | Postponed | Closed


class Lane:
    """Lets one exchange through at a time, and the next only `spacing_s` after it."""

    def __init__(self, *, spacing_s: float, clock: Clock, sleep: Sleep) -> None:
        self._spacing_s = spacing_s
        self._clock = clock
        self._sleep = sleep
        self._lock = asyncio.Lock()
        self._free_at = -math.inf

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        wait_s = self._free_at - self._clock.monotonic()
        if wait_s <= 0:
            return
        try:
            await self._sleep(wait_s)
        except BaseException:
            self._lock.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._free_at = self._clock.monotonic() + self._spacing_s
        self._lock.release()


class Renewal:
    """The steps, for any account. Its owner sees to it that an account renews once at a time."""

    closing = False
    """Set it when the gateway closes: no exchange is begun any more."""

    def __init__(
        self,
        *,
        server: AuthServer,
        store: CredentialStore,
        source: AccountSource,
        lane: Lane,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._server = server
        self._store = store
        self._source = source
        self._lane = lane
        self._clock = clock
        self._sleep = sleep

    async def run(self, account: Account) -> Result:
        """Renew `account`, unless the store already knows a newer credential.

        Run it where no caller's cancellation reaches it.
        """
        try:
            found = await self._store.refresh_token(account.id)
            newer = await self._newer(account, found)
            if newer is not None:
                return Adopted(newer)
            if found is None:
                return Refused("no_refresh_token", permanent=True)
            async with self._lane:
                bought = await self._spend(account, *found)
        except StateError:
            return Postponed("store_unavailable")
        if not isinstance(bought, Tokens):
            return bought
        # The lane is free meanwhile: where the store is away, no sibling gets past its intent.
        return await self._keep(account, _dated(bought), found[1])

    async def _spend(self, account: Account, token: Secret, generation: int) -> Tokens | Result:
        """Return what the one exchange bought, or why it bought nothing.

        Raises:
            StateError: The store is away, so the exchange was not begun.
        """
        if self.closing:
            return Closed()
        now = self._clock.now()
        if not await self._store.intend(account.id, generation=generation, at=now):
            return await self._elsewhere(account, "superseded")
        try:
            return await self._server.renew(token, proxy_url=account.proxy_url)
        except RenewalRefused as refused:
            return await self._refused(account, refused)
        except RenewalUnknown:
            return Uncertain("unknown")
        except RenewalUnsent:
            return Postponed("unsent")

    async def _keep(self, account: Account, tokens: Tokens, generation: int) -> Result:
        """Store what was bought, however long the store takes to come back.

        Only a defect, which is not cured by waiting, is given up after a while.
        """
        tries = 0
        while True:
            try:
                stored = await self._store.renewed(
                    account.id, tokens, generation=generation, at=self._clock.now()
                )
            except Exception as error:  # noqa: BLE001 - whatever the store's fault, this is the only copy
                tries += 1
                _log.error(
                    "credential_not_stored account=%s try=%d error=%s",
                    account.id,
                    tries,
                    type(error).__name__,
                )
                if tries >= self._tries_max(error):
                    return Uncertain("not_stored")
                await self._sleep(STORE_DELAY_S)
            else:
                break
        if stored is not None:
            return Renewed(stored)
        try:
            return await self._elsewhere(account, "gone")
        except StateError:
            return Uncertain("superseded")

    def _tries_max(self, error: Exception) -> float:
        if self.closing:
            return STORE_TRIES_CLOSING
        return math.inf if isinstance(error, StateError) else STORE_TRIES_DEFECT

    async def _refused(self, account: Account, refused: RenewalRefused) -> Result:
        """Record the refusal, unless another process spent the token first."""
        try:
            if refused.permanent:
                newer = await self._newest(account)
                if newer is not None:
                    return Adopted(newer)
            await self._store.refused(
                account.id, code=refused.code, permanent=refused.permanent, at=self._clock.now()
            )
        except StateError:
            _log.warning("refusal_not_stored account=%s code=%s", account.id, refused.code)
        return Refused(refused.code, permanent=refused.permanent)

    async def _elsewhere(self, account: Account, code: str) -> Result:
        newer = await self._newest(account)
        return Postponed(code) if newer is None else Adopted(newer)

    async def _newer(self, account: Account, found: tuple[Secret, int] | None) -> Account | None:
        """Return what another process stored; `found` spares asking where there is nothing."""
        if found is not None and found[1] <= account.credential.generation:
            return None
        return await self._newest(account)

    async def _newest(self, account: Account) -> Account | None:
        stored = await self._source.account(account.id)
        if stored is None or stored.credential.generation <= account.credential.generation:
            return None
        return stored


def _dated(tokens: Tokens) -> Tokens:
    """Return `tokens` with the access token's own end where the server named none."""
    if tokens.expires_at is not None or tokens.access_token is None:
        return tokens
    expires_at = read(tokens.access_token.reveal()).expires_at
    return structs.replace(tokens, expires_at=expires_at)
