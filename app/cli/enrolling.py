"""Adds accounts and renews them from the command line, beside a gateway that may be running.

A refresh token can be spent once, and a running gateway renews whatever account it sees. So a
token that must be exchanged is exchanged first and stored after, while nobody else knows of it;
and a renewal of a stored account notes its intent like the gateway's own. Ctrl-C is not heard
while an exchange is under way: what it bought would be lost.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
from msgspec import structs

from app.accounts import claims
from app.accounts.enrolment import enrolment, whose
from app.accounts.new_account import NewAccount
from app.accounts.renewal import Adopted, Lane, Renewal, Renewed
from app.clock import SystemClock
from app.domain.account import Account, AccountKind, Secret
from app.domain.enrolment import Added, Enrolment
from app.ports import RenewalRefused, RenewalUnknown, RenewalUnsent, Tokens
from app.settings import Settings
from app.store.store import Store
from app.upstream.auth_server import OAuthServer, Route, trust_store

_BATCH = 100


async def enrol(store: Store, settings: Settings, new: Enrolment) -> Added:
    """Add `new`, exchanged if it has a refresh token only, and named by what its tokens tell.

    Raises:
        click.ClickException: The exchange failed; nothing was stored.
    """
    if new.refresh_token and not new.access_token:
        with _uninterrupted():
            return await _store(store, await _exchanged(settings, new, new.refresh_token))
    return await _store(store, new)


async def renew(store: Store, settings: Settings, account: Account) -> str | None:
    """Renew a stored account now; return None, or a word for why it was not."""
    clock = SystemClock()
    renewal = Renewal(
        server=_server(settings),
        store=store.credentials,
        source=store.accounts,
        lane=Lane(spacing_s=0.0, clock=clock, sleep=asyncio.sleep),
        clock=clock,
        sleep=asyncio.sleep,
    )
    with _uninterrupted():
        result = await renewal.run(account)
        match result:
            case Renewed(renewed) | Adopted(renewed):
                await _identify(store, renewed)
                return None
            case _:
                return getattr(result, "code", "closed")


async def enrol_all(
    store: Store, found: Sequence[NewAccount], *, done: Callable[[int], None]
) -> list[Added]:
    """Add many accounts, as they are; a gateway exchanges their refresh tokens in its own time.

    They go in batches, so that a running gateway's own writes come in between; `done` is told the
    size of each. Raises as the store does; the batches before are then stored.
    """
    added: list[Added] = []
    for start in range(0, len(found), _BATCH):
        batch = [enrolment(new) for new in found[start : start + _BATCH]]
        added += await store.accounts.add_all(batch, at=SystemClock().now())
        done(len(batch))
    return added


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


async def _store(store: Store, new: Enrolment) -> Added:
    return await store.accounts.add(identified(new), at=SystemClock().now())


async def _exchanged(settings: Settings, new: Enrolment, refresh_token: Secret) -> Enrolment:
    try:
        tokens = await _server(settings).renew(refresh_token, proxy_url=new.proxy_url)
    except RenewalRefused as error:
        raise click.ClickException(f"The refresh token was refused ({error.code}).") from error
    except RenewalUnsent as error:
        raise click.ClickException(f"{error}; the refresh token is as good as before.") from error
    except RenewalUnknown as error:
        raise click.ClickException(f"{error}; the refresh token may be spent.") from error
    return structs.replace(
        new,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or refresh_token,
        id_token=tokens.id_token or new.id_token,
        expires_at=tokens.expires_at,
    )


async def _identify(store: Store, account: Account) -> None:
    told = whose(Tokens(account.credential.access_token, None, None, None))
    if told is not None:
        await store.accounts.identify(account.id, told, at=SystemClock().now())


def _server(settings: Settings) -> OAuthServer:
    tls = trust_store(str(settings.ca_file) if settings.ca_file else None)
    proxy_url = Secret(settings.proxy_url) if settings.proxy_url else None
    return OAuthServer(
        issuer=settings.oauth_issuer,
        user_agent=settings.user_agent,
        originator=settings.originator,
        route=Route(tls=tls, proxy_url=proxy_url),
        clock=SystemClock(),
    )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
