"""Adds accounts and renews them from the command line, beside a gateway that may be running.

A refresh token can be spent once, and a running gateway renews whatever account it sees. So a
token that must be exchanged is exchanged first and stored after, while nobody else knows of it;
and a renewal of a stored account notes its intent like the gateway's own. Ctrl-C is not heard
while an exchange is under way: what it bought would be lost.
"""

import asyncio
import math
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import click
from msgspec import structs

from app.accounts import claims
from app.accounts.deadlines import RenewalPolicy, queue_s
from app.accounts.enrolment import enrolment
from app.accounts.lane import Lane
from app.accounts.new_account import NewAccount
from app.accounts.renewal import Adopted, Renewal, Renewed, remembered
from app.cli.options import given
from app.clock import SystemClock
from app.domain.account import Account, AccountKind, Secret
from app.domain.enrolment import AccountChanges, Added, Enrolment
from app.errors import StateError
from app.ports import RenewalRefused, RenewalUnknown, RenewalUnsent
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
        with uninterrupted():
            whole = identified(await _exchanged(settings, new, new.refresh_token))
            return await store.accounts.add(whole, at=SystemClock().now(), issued_now=True)
    return await store.accounts.add(identified(new), at=SystemClock().now())


async def renew(store: Store, settings: Settings, account: Account) -> str | None:
    """Renew a stored account now; return None, or a word for why it was not."""
    clock = SystemClock()
    renewal = Renewal(
        server=auth_server(settings),
        store=store.credentials,
        source=store.accounts,
        lane=Lane(spacing_s=0.0, clock=clock, sleep=asyncio.sleep),
        clock=clock,
        sleep=asyncio.sleep,
    )
    with uninterrupted():
        result = await renewal.run(account)
        event = remembered(result, at=clock.now(), next_at=None)
        if event is not None:
            with suppress(StateError):
                await store.credentials.remember(account.id, event)
    match result:
        case Renewed() | Adopted():
            return None
        case _:
            return getattr(result, "code", "closed")


async def enrol_all(
    store: Store,
    found: Sequence[NewAccount],
    *,
    done: Callable[[int], None],
    chosen: AccountChanges | None = None,
) -> list[Added]:
    """Add many accounts, as they are; a gateway exchanges their refresh tokens in its own time.

    What is `chosen` counts more than what they say themselves. They go in batches, so that a
    running gateway's own writes come in between; `done` is told the size of each. Raises as the
    store does; the batches before are then stored.
    """
    added: list[Added] = []
    settings = given(chosen or AccountChanges())
    for start in range(0, len(found), _BATCH):
        part = found[start : start + _BATCH]
        batch = [structs.replace(enrolment(new), **settings) for new in part]
        added += await store.accounts.add_all(batch, at=SystemClock().now())
        done(len(batch))
    return added


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


def added_value(added: Added) -> dict[str, object]:
    """Return what a script is told of an account that was added."""
    account = added.account
    return {
        "id": account.id,
        "name": account.name,
        "created": added.created,
        "credential_kept": added.credential_kept,
    }


def added_line(added: Added) -> str:
    """Return what a person is told of it."""
    if added.created:
        return f"Added {added.account.name} ({added.account.id})."
    what = "its own credential is fresher" if added.credential_kept else "credential replaced"
    return f"{added.account.name} ({added.account.id}) was there already: {what}."


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


async def _exchanged(settings: Settings, new: Enrolment, refresh_token: Secret) -> Enrolment:
    try:
        tokens = await auth_server(settings).renew(refresh_token, proxy_url=new.proxy_url)
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


def auth_server(settings: Settings) -> OAuthServer:
    """Return the authorization server that `settings` name."""
    tls = trust_store(str(settings.ca_file) if settings.ca_file else None)
    proxy_url = Secret(settings.proxy_url) if settings.proxy_url else None
    return OAuthServer(
        issuer=settings.oauth_issuer,
        user_agent=settings.user_agent,
        originator=settings.originator,
        route=Route(tls=tls, proxy_url=proxy_url, timeout_s=settings.limits.renewal_timeout_s),
        clock=SystemClock(),
    )


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Do not hear Ctrl-C while a token is being spent: what it bought would be lost."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
