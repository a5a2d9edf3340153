"""The composition root: the one file that knows every concrete class.

Objects are built once, outermost resource first, and closed in reverse by one `AsyncExitStack`.
Background work runs in one task group that ends with the gateway. Nothing else in `app` opens a
connection or reads a global.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

from litestar import Litestar
from msgspec import structs

from app.accounts.credentials import CredentialRenewer, RenewalNews, Timing
from app.accounts.deadlines import RenewalPolicy
from app.accounts.enrolment import whose
from app.accounts.manifests import Manifests, News
from app.clock import SystemClock
from app.dialects.catalog import Catalog
from app.dialects.live_manifest import overlaid
from app.dialects.manifest import CARDS, Card
from app.domain.account import Account, AccountId, AccountKind, Secret
from app.edge import absent, calls, catalog, operations, spa
from app.edge.chat import ChatSpeaker
from app.edge.dataplane import Bounds, DataPlane
from app.edge.errors import render
from app.edge.guards import Guard
from app.edge.inflight import InFlight
from app.edge.models import Models
from app.edge.responses import ResponsesSpeaker
from app.edge.streaming import Pace
from app.errors import StateError
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool
from app.pool.state import Health
from app.relay.admission import Admission
from app.relay.relay import Relay, RelaySettings
from app.settings import Settings
from app.store.keys import KeyBook
from app.store.store import Store
from app.telemetry.heartbeat import Heartbeat
from app.telemetry.metrics import Exposition, Gauges, Metrics
from app.upstream.auth_server import OAuthServer, Route, trust_store
from app.upstream.codex_http import CodexHttp
from app.upstream.http import HttpClient
from app.upstream.identity import Identity
from app.upstream.manifests import TIMEOUT_S, ManifestServer

logger = logging.getLogger(__name__)

SESSION_TTL_S: Final = 7 * 86_400.0
"""How long a session stays bound to its account: as long as the backend's own items live."""
RESTART_FIRST_S: Final = 0.5
RESTART_MAX_S: Final = 30.0
ADMIN_UI: Final = Path(__file__).resolve().parent.parent / "admin-ui" / "dist"


class Gateway:
    """The running parts of one worker."""

    def __init__(self, settings: Settings, store: Store, client: HttpClient) -> None:
        self.settings = settings
        self.store = store
        self.client = client
        self.clock = SystemClock()
        self.rng = Random()  # noqa: S311 - spreads load and jitter, keeps no secret
        self.keys: KeyBook = store.key_book()
        self.metrics = Metrics()
        self.heartbeat = Heartbeat()
        self.in_flight = InFlight(calls_max=settings.limits.streams_max)
        self.revision = -1
        """The state of the store that was loaded last; -1 before the first."""
        self.store_up = False
        limits = settings.limits
        self.pool = AccountPool(
            rng=self.rng,
            affinity=AffinityTable(entries_max=limits.sessions_max, ttl_s=SESSION_TTL_S),
        )
        self.admission = Admission(
            pool=self.pool,
            clock=self.clock,
            queue_max=limits.queue_max,
            queue_wait_s=limits.queue_wait_s,
        )
        self.identity = Identity(user_agent=settings.user_agent, originator=settings.originator)
        self.route = Route(
            proxy_url=Secret(settings.proxy_url) if settings.proxy_url else None,
            tls=trust_store(str(settings.ca_file) if settings.ca_file else None),
        )
        self.renewer = self._renewer()
        self.manifests = self._manifests()
        self.guard = Guard(
            callers=self.keys, clock=self.clock, allow_anonymous=settings.allow_anonymous
        )
        self.models = Models(guard=self.guard)
        self.aliases: Mapping[str, str] = {}
        self.configured: frozenset[str] = frozenset()
        self.cards: Sequence[Card] = CARDS
        self.relay = Relay(
            pool=self.pool,
            admission=self.admission,
            upstream=CodexHttp(
                client=client,
                identity=self.identity,
                base_url=settings.upstream_base_url,
            ),
            renew=lambda account_id, generation: self.renewer.renew_now(
                account_id, generation=generation
            ),
            clock=self.clock,
            rng=self.rng,
            observer=self.metrics,
            settings=self._relay_settings(),
        )

    def _renewer(self) -> CredentialRenewer:
        settings = self.settings
        return CredentialRenewer(
            server=OAuthServer(
                issuer=settings.oauth_issuer,
                user_agent=settings.user_agent,
                originator=settings.originator,
                route=self.route,
                clock=self.clock,
            ),
            store=self.store.credentials,
            source=self.store.accounts,
            timing=Timing(
                clock=self.clock,
                sleep=asyncio.sleep,
                rng=self.rng,
                policy=RenewalPolicy(sweep_s=settings.renewal_sweep_s),
            ),
            news=RenewalNews(
                renewed=lambda account: self.pool.put(account, now=self.clock.now()),
                failed=_note_failed_renewal,
            ),
        )

    def _manifests(self) -> Manifests:
        return Manifests(
            source=ManifestServer(
                base_url=self.settings.upstream_base_url,
                identity=self.identity,
                route=structs.replace(self.route, timeout_s=TIMEOUT_S),
            ),
            news=News(choose=self._witness, learnt=self._learn),
            clock=self.clock,
            sleep=asyncio.sleep,
            rng=self.rng,
        )

    def _witness(self, excluding: Collection[AccountId]) -> Account | None:
        """Return the account that is asked for manifests: the same one while it is ready.

        Plans see different models, the free ones fewer; the operator's priority comes next.
        """
        self.pool.has_room(now=self.clock.now())  # wakes those whose rest is over
        ready = (
            state.account
            for state in self.pool.states
            if state.health is Health.READY
            and state.account.kind is AccountKind.CODEX
            and state.account.id not in excluding
        )
        return min(ready, key=_distance, default=None)

    def _learn(self, cards: Sequence[Card]) -> None:
        self.cards = overlaid(CARDS, cards)
        self._renew_catalog()

    def _renew_catalog(self) -> None:
        self.models.catalog = Catalog(self.aliases, configured=self.configured, cards=self.cards)

    async def reload(self) -> None:
        """Take over what the store holds, if it has changed since the last time.

        Raises:
            StateError: The store is away; everything stays as it was.
        """
        revision = await self.store.revision()
        self.store_up = True
        if revision == self.revision:
            return
        accounts = await self.store.accounts.list()
        runtime = await self.store.settings.load()
        self.keys.replace(await self.store.keys.list())
        for gone in {state.account.id for state in self.pool.states} - {a.id for a in accounts}:
            self.renewer.forget(gone)
        self.pool.apply(accounts, now=self.clock.now())
        for account in accounts:
            self.renewer.watch(account)
        self.aliases = runtime.model_aliases
        self.configured = frozenset(model for account in accounts for model in account.models)
        self._renew_catalog()
        self.relay.settings = structs.replace(
            self.relay.settings,
            attempts_max=runtime.attempts_max,
            first_event_timeout_s=runtime.first_event_timeout_s,
            idle_timeout_s=runtime.idle_timeout_s,
        )
        self.client.expect_silence(max(runtime.first_event_timeout_s, runtime.idle_timeout_s))
        self.revision = revision
        self.admission.serve_line()

    async def follow(self) -> None:
        """Reload whenever the store changes, until cancelled."""
        while True:
            await asyncio.sleep(self.settings.limits.reload_poll_s)
            try:
                await self.reload()
            except StateError as error:
                if self.store_up:
                    logger.warning("the store is away: %s", error.message)
                self.store_up = False

    def _relay_settings(self) -> RelaySettings:
        limits = self.settings.limits
        return RelaySettings(
            attempts_max=limits.attempts_max,
            first_event_timeout_s=limits.first_event_timeout_s,
            idle_timeout_s=limits.idle_timeout_s,
            prelude_bytes_max=limits.prelude_bytes_max,
            event_bytes_max=limits.event_bytes_max,
            reply_bytes_max=limits.reply_bytes_max,
            error_body_bytes_max=limits.error_body_bytes_max,
            renewal_wait_s=limits.renewal_timeout_s,
        )


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Open a gateway: its store, its accounts, its background tasks.

    Nothing is dialled and nothing is renewed before this returns.

    Raises:
        StateError: The store can't be opened.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store.open(settings, whose=whose))
        proxy_url = Secret(settings.proxy_url) if settings.proxy_url else None
        client = await stack.enter_async_context(
            HttpClient(proxy_url=proxy_url, ca_file=settings.ca_file)
        )
        opened = Gateway(settings, store, client)
        wanted = [Secret(key) for key in settings.api_keys]
        if wanted:
            await store.keys.ensure(wanted, name="environment", at=opened.clock.now())
        await opened.reload()
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [
            group.create_task(_supervised(work, opened.rng))
            for work in (
                opened.renewer.run,
                opened.manifests.run,
                opened.follow,
                opened.heartbeat.run,
            )
        ]
        try:
            yield opened
        finally:
            for task in tasks:
                task.cancel()


def build(opened: Gateway) -> Litestar:
    """Return the application that serves an open gateway."""
    settings, limits = opened.settings, opened.settings.limits
    plane = DataPlane(
        guard=opened.guard,
        relay=opened.relay,
        in_flight=opened.in_flight,
        clock=opened.clock,
        observer=opened.metrics,
        bounds=Bounds(
            settings.body_bytes_max,
            limits.body_read_timeout_s,
            Pace(limits.commit_after_s, limits.keepalive_s, limits.send_timeout_s),
        ),
    )
    gauges = Gauges(
        accounts=lambda: opened.pool.states,
        waiting=lambda: opened.admission.waiting,
        late=lambda: opened.client.late,
        loop_lag_s=lambda: opened.heartbeat.lag_s,
        store_up=lambda: opened.store_up,
    )
    responses = ResponsesSpeaker(models=opened.models, codex_route=False)
    codex = ResponsesSpeaker(models=opened.models, codex_route=True)
    chat = ChatSpeaker(models=opened.models, now=opened.clock.now)
    models = catalog.ModelsRoute(
        models=opened.models,
        guard=opened.guard,
        live=opened.manifests.manifest,
        started_at=opened.clock.now,
    )
    return Litestar(
        route_handlers=[
            calls.route(["/v1/responses", "/responses"], responses, plane),
            calls.route(
                ["/backend-api/codex/responses", "/backend-api/codex/v1/responses"], codex, plane
            ),
            calls.route(["/v1/chat/completions", "/chat/completions"], chat, plane),
            *catalog.routes(models),
            *operations.routes(
                in_flight=opened.in_flight,
                metrics=Exposition(opened.metrics, gauges).text,
                loaded=lambda: opened.revision >= 0,
                metrics_token=Secret(settings.metrics_token) if settings.metrics_token else None,
            ),
            *spa.routes(build=ADMIN_UI),
            *absent.routes(),
        ],
        exception_handlers={Exception: render},
        openapi_config=None,
        logging_config=None,
    )


async def _supervised(work: Callable[[], Awaitable[None]], rng: Random) -> None:
    """Keep background work going: log what it failed with and start it again, ever later."""
    wait_s = RESTART_FIRST_S
    while True:
        try:
            await work()
        except Exception:
            logger.exception("background work failed; starting it again")
            await asyncio.sleep(wait_s * (0.5 + rng.random()))
            wait_s = min(wait_s * 2, RESTART_MAX_S)
        else:
            return


def _distance(account: Account) -> tuple[bool, int, AccountId]:
    return account.plan == "free", -account.priority, account.id


def _note_failed_renewal(account_id: AccountId, permanent: bool, code: str) -> None:  # noqa: FBT001 - the renewer's callback
    logger.warning(
        "a credential could not be renewed",
        extra={"account": account_id, "permanent": permanent, "code": code},
    )
