"""Adds accounts and renews them from the command line, beside a gateway that may be running.

A refresh token can be spent once, and a running gateway renews whatever account it sees. So a
token that must be exchanged is exchanged first and stored after, while nobody else knows of it;
and a renewal of a stored account notes its intent like the gateway's own. Ctrl-C is not heard
while an exchange is under way: what it bought would be lost.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.accounts.enrolling import Enroller
from app.accounts.lane import Lane
from app.accounts.renewal import Adopted, Renewal, Renewed, remembered
from app.clock import SystemClock
from app.domain.account import Account, Secret
from app.domain.enrolment import Added, Enrolment
from app.errors import StateError
from app.settings import Settings
from app.store.store import Store
from app.upstream.auth_server import OAuthServer, Route, trust_store


async def enrol(store: Store, settings: Settings, new: Enrolment) -> Added:
    """Add `new`; raises as `app.accounts.enrolling` does."""
    with uninterrupted():
        return await enroller(store, settings).enrol(new)


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


def enroller(store: Store, settings: Settings) -> Enroller:
    """Return what adds accounts to `store`."""
    return Enroller(server=auth_server(settings), rows=store.accounts, clock=SystemClock())


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
