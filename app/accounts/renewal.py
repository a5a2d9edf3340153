"""One renewal of one account: from the stored refresh token to its stored successor.

A refresh token can be spent once, so the order of the steps is the point: read it, note the
intent, spend it, store what it bought, and only then let anybody use that. From the exchange
on there is no way back: what was bought is held until the store takes it. How a renewal ended
is a value; what follows from it (deadlines, news) is decided by the renewer.

Accounts pass one at a time (`app.accounts.lane`). Nothing is tried twice in here.
"""

import logging
import math
from collections.abc import Callable

from msgspec import Struct, structs

from app.accounts.claims import read
from app.accounts.enrolment import whose
from app.accounts.lane import Lane, Sleep
from app.domain.account import Account, AccountId, Secret
from app.errors import StateError
from app.ports import (
    AccountSource,
    AuthServer,
    Clock,
    CredentialStore,
    RenewalEvent,
    RenewalKind,
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

Plan = Callable[[float | None], float | None]
"""Tells when a credential is renewed next that was issued just now and ends then."""

_log = logging.getLogger(__name__)


class Renewed(Struct, frozen=True):
    """The exchange succeeded and its result is stored, with when it is renewed next.

    The account has another id than the one that was renewed where both turned out to be one.
    """

    account: Account
    next_at: float | None = None


class Adopted(Struct, frozen=True):
    """Another process had renewed the account; this is what it stored."""

    account: Account


class Refused(Struct, frozen=True):
    """The authorization server said no; `permanent` if the refresh token is dead."""

    code: str
    permanent: bool
    retry_after_s: float | None = None
    """How long the server wants to be left alone, None where it did not say."""
    untold: int | None = None
    """The generation that is dead and of which the store could not be told; see `tell`."""


class Uncertain(Struct, frozen=True):
    """The refresh token may be spent and nothing came of it."""

    code: str


class Postponed(Struct, frozen=True):
    """Nothing was spent; it may be tried again."""

    code: str


class Closed(Struct, frozen=True):
    """The gateway closes, so the exchange was not begun."""


Result = Renewed | Adopted | Refused | Uncertain | Postponed | Closed


def remembered(result: Result, *, at: float, next_at: float | None) -> RenewalEvent | None:
    """Return the event that is to be kept of a renewal; None if it is in the store already."""
    match result:
        case Adopted():
            return RenewalEvent(RenewalKind.ADOPTED, at, None, next_at)
        case Refused(code):
            return RenewalEvent(RenewalKind.REFUSED, at, code, next_at)
        case Uncertain(code):
            return RenewalEvent(RenewalKind.UNKNOWN, at, code, next_at)
        case Postponed(code):
            return RenewalEvent(RenewalKind.POSTPONED, at, code, next_at)
        case _:
            return None


class Renewal:
    """The steps, for any account. Its owner sees to it that an account renews once at a time."""

    closing = False
    """Set it when the gateway closes: no exchange is begun any more."""

    def __init__(  # noqa: PLR0913 - keyword-only, the parts that its owner brings together
        self,
        *,
        server: AuthServer,
        store: CredentialStore,
        source: AccountSource,
        lane: Lane,
        clock: Clock,
        sleep: Sleep,
        plan: Plan = lambda _: None,
    ) -> None:
        """Take `plan` for what is written down of a success."""
        self._server = server
        self._store = store
        self._source = source
        self._lane = lane
        self._clock = clock
        self._sleep = sleep
        self._plan = plan

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
            return await self._refused(account, refused, generation)
        except RenewalUnknown:
            return Uncertain("unknown")
        except RenewalUnsent:
            unsent = RenewalRefused("unsent", "no connection", permanent=False)
            await self._refused(account, unsent, generation)
            return Postponed("unsent")

    async def _keep(self, account: Account, tokens: Tokens, generation: int) -> Result:
        """Store what was bought, however long the store takes to come back.

        Only a defect, which is not cured by waiting, is given up after a while.
        """
        tries = 0
        old_end = account.credential.expires_at
        next_at = self._plan(tokens.expires_at if tokens.access_token else old_end)
        while True:
            try:
                stored = await self._store.renewed(
                    account.id,
                    tokens,
                    generation=generation,
                    at=self._clock.now(),
                    next_at=next_at,
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
            return Renewed(await self._identified(stored, tokens), next_at)
        try:
            return await self._elsewhere(account, "gone")
        except StateError:
            return Uncertain("superseded")

    def _tries_max(self, error: Exception) -> float:
        if self.closing:
            return STORE_TRIES_CLOSING
        return math.inf if isinstance(error, StateError) else STORE_TRIES_DEFECT

    async def _identified(self, account: Account, tokens: Tokens) -> Account:
        """Return the account, or the one that its new tokens say it has been all along."""
        who = whose(tokens)
        if who is None:
            return account
        try:
            found = await self._source.identify(account.id, who, at=self._clock.now())
        except Exception as error:  # noqa: BLE001 - the credential is stored, whatever this is
            # Two rows that are one account stay apart until the next renewal.
            _log.warning("not_identified account=%s error=%s", account.id, type(error).__name__)
            return account
        return account if found is None else found

    async def _refused(self, account: Account, refused: RenewalRefused, generation: int) -> Result:
        """Record the refusal, unless another process has replaced the token since."""
        try:
            if refused.permanent:
                newer = await self._newest(account)
                if newer is not None:
                    return Adopted(newer)
            current = await self._store.refused(
                account.id,
                generation=generation,
                code=refused.code,
                permanent=refused.permanent,
                at=self._clock.now(),
            )
            newer = None if current else await self._newest(account)
            if newer is not None:
                return Adopted(newer)
        except StateError:
            _log.warning("refusal_not_stored account=%s code=%s", account.id, refused.code)
            if refused.permanent:
                return Refused(refused.code, permanent=True, untold=generation)
        return Refused(refused.code, refused.permanent, refused.retry_after_s)

    async def tell(self, account_id: AccountId, refused: Refused) -> None:
        """Tell the store of a dead token, however long it takes to come back.

        Until it knows, a restart or another process would present the token once more. While the
        gateway closes there is one more try.
        """
        while refused.untold is not None:
            await self._sleep(STORE_DELAY_S)
            try:
                await self._store.refused(
                    account_id,
                    generation=refused.untold,
                    code=refused.code,
                    permanent=True,
                    at=self._clock.now(),
                )
            except StateError:
                if self.closing:
                    return
            else:
                return

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
