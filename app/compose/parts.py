"""Makes the services of a gateway, each from the two or three values that it needs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import Final

from msgspec import structs

from app.accounts.credentials import CredentialRenewer, RenewalNews, Timing
from app.accounts.deadlines import RenewalPolicy
from app.accounts.listings import Listings
from app.accounts.manifests import Manifests, News
from app.accounts.probing import Accounts as ProbedAccounts
from app.accounts.probing import UsageProbes
from app.accounts.refusals import Refusals
from app.domain.account import Account, AccountKind, Secret
from app.limits import Limits
from app.pool.affinity import AffinityTable
from app.pool.explanation import Explanations
from app.pool.pool import AccountPool
from app.ports import Clock, SharedState, Upstream
from app.relay.admission import Admission
from app.relay.relay import RelaySettings
from app.settings import Settings
from app.store.store import Store
from app.upstream.addresses import Addresses
from app.upstream.auth_server import OAuthServer, Route, trust_store
from app.upstream.codex import CodexUpstream
from app.upstream.codex_http import CodexHttp
from app.upstream.http import HttpClient
from app.upstream.identity import Identity
from app.upstream.keyed import KeyedHttp
from app.upstream.listing import TIMEOUT_S as LISTING_TIMEOUT_S
from app.upstream.listing import ModelListing
from app.upstream.manifests import TIMEOUT_S as MANIFEST_TIMEOUT_S
from app.upstream.manifests import ManifestServer
from app.upstream.pipes import KeyedPipes
from app.upstream.router import Router
from app.upstream.sockets.pool import Bounds, SocketPool
from app.upstream.sockets.wire import Dialler
from app.upstream.usage import TIMEOUT_S as USAGE_TIMEOUT_S
from app.upstream.usage import WhamUsage

SESSION_TTL_S: Final = 7 * 86_400.0
"""How long a session stays bound to its account: as long as the backend's own items live."""


def pool(limits: Limits, *, rng: Random) -> AccountPool:
    """Return the pool, empty."""
    return AccountPool(
        rng=rng,
        affinity=AffinityTable(entries_max=limits.sessions_max, ttl_s=SESSION_TTL_S),
        owners=AffinityTable(entries_max=limits.owned_items_max, ttl_s=SESSION_TTL_S),
    )


def admission(
    limits: Limits,
    pool: AccountPool,
    *,
    clock: Clock,
    explanations: Explanations,
    hurry: Callable[[], None],
) -> Admission:
    """Return the line in front of the pool."""
    return Admission(
        pool=pool,
        clock=clock,
        queue_max=limits.queue_max,
        queue_wait_s=limits.queue_wait_s,
        explanations=explanations,
        hurry=hurry,
    )


def route(settings: Settings) -> Route:
    """Return the way to the upstream's small services, with the time that an exchange may take."""
    return Route(
        proxy_url=Secret(settings.proxy_url) if settings.proxy_url else None,
        tls=trust_store(str(settings.ca_file) if settings.ca_file else None),
        timeout_s=settings.limits.renewal_timeout_s,
    )


def addresses(settings: Settings) -> Addresses:
    """Return what tells where the names of operators' upstreams lead."""
    return Addresses(private=settings.private_names, proxied=bool(settings.proxy_url))


def auth_server(settings: Settings, way: Route, clock: Clock) -> OAuthServer:
    """Return the authorization server."""
    return OAuthServer(
        issuer=settings.oauth_issuer,
        user_agent=settings.user_agent,
        originator=settings.originator,
        route=way,
        clock=clock,
    )


def renewer(  # noqa: PLR0913 - keyword-only, the parts that it brings together
    settings: Settings,
    store: Store,
    *,
    way: Route,
    clock: Clock,
    rng: Random,
    shared: SharedState | None,
    news: RenewalNews,
) -> CredentialRenewer:
    """Return the service that keeps credentials alive."""
    return CredentialRenewer(
        server=auth_server(settings, way, clock),
        store=store.credentials,
        source=store.accounts,
        timing=Timing(
            clock=clock,
            sleep=asyncio.sleep,
            rng=rng,
            policy=RenewalPolicy(sweep_s=settings.renewal_sweep_s),
            shared=shared,
        ),
        news=news,
    )


def probes(
    settings: Settings,
    accounts: ProbedAccounts,
    *,
    identity: Identity,
    way: Route,
    clock: Clock,
    rng: Random,
) -> UsageProbes:
    """Return the service that asks for the usage of accounts without traffic."""
    server = WhamUsage(
        base_url=settings.upstream_base_url,
        identity=identity,
        route=structs.replace(way, timeout_s=USAGE_TIMEOUT_S),
        clock=clock,
    )
    return UsageProbes(server=server, accounts=accounts, clock=clock, sleep=asyncio.sleep, rng=rng)


def refusals(
    renewer: CredentialRenewer, store: Store, stored: Callable[[], Awaitable[None]], *, clock: Clock
) -> Refusals:
    """Return the service that sees to credentials which were refused."""
    return Refusals(
        renewer=renewer, rows=store.credentials, stored=stored, clock=clock, sleep=asyncio.sleep
    )


def listings(
    settings: Settings,
    *,
    way: Route,
    accounts: Callable[[], Iterable[Account]],
    learnt: Callable[[], None],
    clock: Clock,
) -> Listings:
    """Return the service that learns which models accounts with keys have."""
    source = ModelListing(
        user_agent=settings.user_agent,
        route=structs.replace(way, timeout_s=LISTING_TIMEOUT_S),
        addresses=addresses(settings),
    )
    return Listings(
        source=source, accounts=accounts, learnt=learnt, clock=clock, sleep=asyncio.sleep
    )


def manifests(
    settings: Settings, news: News, *, identity: Identity, way: Route, clock: Clock, rng: Random
) -> Manifests:
    """Return the service that learns which models there are."""
    source = ManifestServer(
        base_url=settings.upstream_base_url,
        identity=identity,
        route=structs.replace(way, timeout_s=MANIFEST_TIMEOUT_S),
    )
    return Manifests(source=source, news=news, clock=clock, sleep=asyncio.sleep, rng=rng)


def codex(
    settings: Settings,
    client: HttpClient,
    *,
    identity: Identity,
    way: Route,
    clock: Clock,
    rng: Random,
) -> CodexUpstream:
    """Return the Codex backend. Its sockets have to be entered before the first call."""
    dialler = Dialler(proxy_url=way.proxy_url, tls=way.tls)
    base_url, limits = settings.upstream_base_url, settings.limits
    sockets = SocketPool(
        url="ws" + base_url.removeprefix("http").rstrip("/") + "/codex/responses",
        dial=dialler.dial,
        clock=clock,
        rng=rng,
        bounds=Bounds(limits.sockets_max, limits.sockets_per_account_max),
    )
    return CodexUpstream(
        http=CodexHttp(client=client, identity=identity, base_url=base_url),
        sockets=sockets,
        identity=identity,
        reaches=lambda account: dialler.reaches(account.proxy_url),
    )


def upstream(
    settings: Settings, client: HttpClient, *, codex: Upstream, now: Callable[[], float]
) -> Router:
    """Return the ways to the upstreams, one for each kind of account."""
    keyed = KeyedHttp(
        client=client, addresses=addresses(settings), user_agent=settings.user_agent, now=now
    )
    return Router(
        {AccountKind.CODEX: codex, AccountKind.OPENAI: keyed, AccountKind.COMPATIBLE: keyed}
    )


def pipes(settings: Settings) -> KeyedPipes:
    """Return what opens realtime connections."""
    way = route(settings)
    dialler = Dialler(proxy_url=way.proxy_url, tls=way.tls)
    return KeyedPipes(
        dial=dialler.dial, addresses=addresses(settings), user_agent=settings.user_agent
    )


def relay_settings(limits: Limits) -> RelaySettings:
    """Return the bounds of a call before the operator's choices are read."""
    return RelaySettings(
        attempts_max=limits.attempts_max,
        first_event_timeout_s=limits.first_event_timeout_s,
        idle_timeout_s=limits.idle_timeout_s,
        prelude_bytes_max=limits.prelude_bytes_max,
        event_bytes_max=limits.event_bytes_max,
        reply_bytes_max=limits.reply_bytes_max,
        error_body_bytes_max=limits.error_body_bytes_max,
        renewal_wait_s=limits.renewal_timeout_s,
        retries_min=limits.retries_min,
    )
