"""Adds accounts: one at a time or many, on the command line and in the admin API.

A refresh token can be spent once, and a running gateway renews whatever account it sees. So a
token that must be exchanged is exchanged first and stored after, while nobody else knows of it.
Many tokens are stored as they are, and a gateway exchanges them in its own time.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import structs

from app.accounts import claims
from app.accounts.deadlines import RenewalPolicy, queue_s
from app.accounts.enrolment import enrolment
from app.accounts.new_account import NewAccount
from app.domain.account import AccountKind, Secret
from app.domain.enrolment import Added, Enrolment
from app.errors import InvalidRequest, UpstreamError
from app.ports import AuthServer, Clock, RenewalRefused, RenewalUnknown, RenewalUnsent

BATCH = 100


class NewAccounts(Protocol):
    """Where accounts are stored."""

    async def add(self, new: Enrolment, *, at: float, issued_now: bool = False) -> Added:
        """Add an account, or refresh the one that it already is."""

    async def add_all(self, new: Sequence[Enrolment], *, at: float) -> Sequence[Added]:
        """Add many in one transaction."""


class Enroller:
    """Adds accounts."""

    def __init__(self, *, server: AuthServer, rows: NewAccounts, clock: Clock) -> None:
        self._server = server
        self._rows = rows
        self._clock = clock

    async def enrol(self, new: Enrolment) -> Added:
        """Add `new`, exchanged if it has a refresh token only, and named by what its tokens tell.

        Shield it: what an exchange bought is lost if it is cancelled before it is stored.

        Raises:
            InvalidRequest: The refresh token was refused; nothing was stored.
            UpstreamError: The exchange failed otherwise; nothing was stored.
        """
        if new.refresh_token and not new.access_token:
            whole = identified(await self._exchanged(new, new.refresh_token))
            return await self._rows.add(whole, at=self._clock.now(), issued_now=True)
        return await self._rows.add(identified(new), at=self._clock.now())

    async def enrol_all(
        self,
        found: Sequence[NewAccount],
        *,
        done: Callable[[int], None],
        chosen: Mapping[str, Any] | None = None,
    ) -> list[Added]:
        """Add many accounts, as they are; a gateway exchanges their refresh tokens itself.

        What is `chosen` counts more than what they say themselves. They go in batches, so that a
        running gateway's own writes come in between; `done` is told the size of each. Raises as
        the store does; the batches before are then stored.
        """
        added: list[Added] = []
        for start in range(0, len(found), BATCH):
            part = found[start : start + BATCH]
            batch = [structs.replace(enrolment(new), **(chosen or {})) for new in part]
            added += await self._rows.add_all(batch, at=self._clock.now())
            done(len(batch))
        return added

    async def _exchanged(self, new: Enrolment, refresh_token: Secret) -> Enrolment:
        try:
            tokens = await self._server.renew(refresh_token, proxy_url=new.proxy_url)
        except RenewalRefused as error:
            raise InvalidRequest(
                f"The refresh token was refused ({error.code}).", param="refresh_token"
            ) from error
        except RenewalUnsent as error:
            told = f"{error}; the refresh token is as good as before."
            raise UpstreamError(told) from error
        except RenewalUnknown as error:
            raise UpstreamError(f"{error}; the refresh token may be spent.") from error
        return structs.replace(
            new,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token or refresh_token,
            id_token=tokens.id_token or new.id_token,
            expires_at=tokens.expires_at,
        )


def backlog(added: Sequence[Added]) -> list[str]:
    """Say how long a gateway takes to renew what was added without an access token, if any was."""
    waiting = sum(
        each.account.credential.renewable and not each.account.credential.access_token
        for each in added
    )
    if not waiting:
        return []
    minutes = math.ceil(queue_s(waiting, policy=RenewalPolicy()) / 60)
    told = (
        f"{waiting} have only a refresh token. A running gateway exchanges one after the other, as "
        f"bursts get accounts revoked: about {minutes} min, and each serves as soon as it is done."
    )
    return [told]


def identified(new: Enrolment) -> Enrolment:
    """Return `new` with what its tokens tell wherever it is silent itself, and with a name."""
    if new.kind is AccountKind.CODEX:
        told = claims.identity(
            id_token=new.id_token.reveal() if new.id_token else None,
            access_token=new.access_token.reveal() if new.access_token else None,
        )
        new = structs.replace(
            new,
            chatgpt_user_id=new.chatgpt_user_id or told.chatgpt_user_id,
            chatgpt_account_id=new.chatgpt_account_id or told.chatgpt_account_id,
            email=new.email or told.email,
            plan=new.plan or told.plan,
            fedramp=new.fedramp or told.fedramp,
            expires_at=new.expires_at if new.expires_at is not None else told.expires_at,
        )
    return structs.replace(new, name=new.name or new.email or f"{new.kind.value} account")
