"""The running parts of one worker, and how it takes over what the store says.

What changes while it runs (accounts, keys, settings, the model catalogue) arrives in `reload`,
which replaces whole values; what the services tell each other goes through the few methods below.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Final

from msgspec import structs

from app.accounts.credentials import RenewalNews
from app.accounts.manifests import News
from app.accounts.probing import Accounts as ProbedAccounts
from app.admin.rates import Rates
from app.clock import SystemClock
from app.compose import offer, parts
from app.compose.books import Books
from app.compose.history import Remembering
from app.compose.leaving import Leaving
from app.compose.observers import Observers, Watchers
from app.compose.sharing import Sharing
from app.dialects.catalog import Catalog
from app.dialects.live_manifest import overlaid
from app.dialects.manifest import CARDS, Card
from app.domain.account import Account, AccountId, AccountKind
from app.domain.enrolment import StoredAccount
from app.domain.outcome import Outcome
from app.domain.quota import QuotaView
from app.domain.runtime import RuntimeSettings
from app.domain.shared import AccountReset, CredentialRenewed, StoreChanged
from app.edge.admin.application import Parts
from app.edge.admin.gate import Gate
from app.edge.guards import Guard
from app.edge.models import Models
from app.errors import StateError
from app.pool.explanation import Explanations
from app.pool.policy import Policy
from app.pool.state import Health
from app.ports import CallObserver
from app.relay.relay import Relay
from app.settings import Settings
from app.store.keys import KeyBook
from app.store.store import Store
from app.telemetry.account_counts import AccountCounts
from app.telemetry.exposition import Exposition
from app.telemetry.heartbeat import Heartbeat
from app.telemetry.metrics import Metrics
from app.telemetry.traces import traces
from app.tokenizer import Tokenizer
from app.upstream.auth_server import Route
from app.upstream.http import HttpClient
from app.upstream.identity import Identity

KNOWN_S: Final = 5.0
"""For so long after it was last looked at, the store is taken to be as it was: a change of keys
reaches every worker within that time, and a frozen server takes longer to be found out."""

logger = logging.getLogger(__name__)


class Gateway:
    """The running parts of one worker."""

    exposition: Exposition
    """What `/metrics` shows; it is there once the gateway is open."""
    admin_parts: Parts
    """What the admin API is made of, likewise."""
    admin_gate: Gate

    def __init__(self, settings: Settings, store: Store, client: HttpClient) -> None:
        self.settings = settings
        self.store = store
        self.client = client
        self.clock = SystemClock()
        self.rng = Random()  # noqa: S311 - spreads load and jitter, keeps no secret
        self.keys: KeyBook = store.key_book()
        self.account_counts = AccountCounts(now=self.clock.now)
        self.metrics = Metrics(accounts=self.account_counts, monotonic=self.clock.monotonic)
        self.traces = traces(settings.traces_url, now=self.clock.now)
        self.watcher: CallObserver = (
            Watchers(self.metrics, self.traces) if self.traces else self.metrics
        )
        self.books = Books(settings, store, self.clock)
        self.sharing = Sharing(
            settings, incarnation=self.books.incarnation, clock=self.clock, rng=self.rng
        )
        self.heartbeat = Heartbeat(self._beat)
        self.rates = Rates()
        self.details: Mapping[AccountId, StoredAccount] = {}
        """All accounts as they were loaded last, the disabled ones too."""
        self._loading = asyncio.Lock()
        self.leaving = Leaving(settings.limits, self.heartbeat)
        self.in_flight, self.sockets = self.leaving.in_flight, self.leaving.sockets
        self.revision = -1
        """The state of the store that was loaded last; -1 before the first."""
        self.store_up = False
        self._looked_at = self.clock.monotonic()
        """When the store was last found, and so the keys known to be its own."""
        limits = settings.limits
        self.pool = parts.pool(limits, rng=self.rng)
        self.explanations = Explanations()
        self.admission = parts.admission(
            limits,
            self.pool,
            clock=self.clock,
            explanations=self.explanations,
            hurry=self.sharing.hurry,
        )
        self.identity = Identity(user_agent=settings.user_agent, originator=settings.originator)
        self._make_keepers(parts.route(settings))
        self.guard = Guard(
            callers=self.keys,
            clock=self.clock,
            allow_anonymous=settings.allow_anonymous,
            trusted_proxies=settings.trusted_proxies,
            stale=self._stale,
        )
        self.models = Models(guard=self.guard)
        self.tokenizer = Tokenizer()
        self.stored: Sequence[Account] = ()
        """The accounts as the store has them."""
        self.remembering = Remembering(limits, self.sharing.redis, store.keyring, self.clock)
        self.history = self.remembering.history
        self.runtime = RuntimeSettings()
        self.aliases: Mapping[str, str] = {}
        self.plans: frozenset[str] = frozenset()
        self.cards: Sequence[Card] = CARDS
        self.relay = self._make_relay()
        self.sharing.join(self)

    def _make_relay(self) -> Relay:
        traces = [self.traces] if self.traces else []
        # The books first: what they note must be there before anybody sees it.
        self.observer = Observers(
            self.books.accountant,
            self.metrics,
            *traces,
            unauthorized=self.refusals.unauthorized,
            ended=self._rated,
        )
        return Relay(
            pool=self.pool,
            admission=self.admission,
            upstream=parts.upstream(
                self.settings, self.client, codex=self.codex, now=self.clock.now
            ),
            renew=self._renew_now,
            clock=self.clock,
            rng=self.rng,
            observer=self.observer,
            settings=parts.relay_settings(self.settings.limits),
            recall=self.sharing.recall if self.sharing.others else None,
        )

    def _make_keepers(self, way: Route) -> None:
        """Make what speaks with the upstream, and keeps what is known of it up to date."""
        settings = self.settings
        self.codex = parts.codex(
            settings,
            self.client,
            identity=self.identity,
            way=way,
            clock=self.clock,
            rng=self.rng,
        )
        self.renewer = parts.renewer(
            settings,
            self.store,
            way=way,
            clock=self.clock,
            rng=self.rng,
            shared=self.sharing.others,
            news=RenewalNews(renewed=self._renewed, failed=self._not_renewed),
        )
        self.refusals = parts.refusals(self.renewer, self.store, self.catch_up, clock=self.clock)
        self.manifests = parts.manifests(
            settings,
            News(choose=self._witness, learnt=self._learn),
            identity=self.identity,
            way=way,
            clock=self.clock,
            rng=self.rng,
        )
        self.listings = parts.listings(
            settings,
            way=way,
            accounts=lambda: self.stored,
            learnt=self._offer,
            clock=self.clock,
        )
        self.probes = parts.probes(
            settings,
            ProbedAccounts(
                states=lambda: self.pool.states, find=self.pool.account, observe=self._observe
            ),
            identity=self.identity,
            way=way,
            clock=self.clock,
            rng=self.rng,
        )

    async def _renew_now(self, account_id: AccountId, generation: int) -> Account | None:
        return await self.renewer.renew_now(account_id, generation=generation)

    def _beat(self) -> None:
        """Look at what changes by itself: descriptors, and the wall clock's steps.

        After a step, rests may have ended.
        """
        self.leaving.strain.measure()
        if self.clock.correct():
            self.admission.serve_line()

    def _renewed(self, account: Account) -> None:
        """Take over a new credential; calls may be waiting for it."""
        self.metrics.refreshed("renewed")
        self.sharing.announce(CredentialRenewed(account.id, account.credential.generation))
        self.pool.put(account, now=self.clock.now())
        self.admission.serve_line()

    def take_over(self, account: Account) -> None:
        """Take over one account that another process has changed."""
        self.pool.put(account, now=self.clock.now())
        self.renewer.watch(account)
        self.admission.serve_line()

    def _not_renewed(self, account_id: AccountId, permanent: bool, code: str) -> None:  # noqa: FBT001 - the renewer's callback
        self.pool.not_renewed(account_id)
        self.metrics.refreshed("dead" if permanent else "failed")
        _note_failed_renewal(account_id, permanent, code)
        self.admission.serve_line()

    def _observe(self, account_id: AccountId, view: QuotaView) -> None:
        """Take over what a probe learnt; a pause may have ended with it."""
        self.pool.observe(account_id, view, model=None, now=self.clock.now())
        self.admission.serve_line()

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
        self._configure()

    def _renew_catalog(self) -> None:
        self.models.catalog = Catalog(
            self.aliases,
            claude=self.runtime.claude_models,
            configured=self._configured(),
            cards=offer.offered(self.cards, self._accounts()),
        )

    def _accounts(self) -> list[Account]:
        """Return the accounts with what was learnt of their models."""
        return offer.completed(self.stored, self.listings.models)

    def _configured(self) -> frozenset[str]:
        return offer.configured(self._accounts())

    def _offer(self) -> None:
        """Take over which models accounts with keys have; calls may be waiting for one of them."""
        for account in self._accounts():
            if account.kind is not AccountKind.CODEX:
                self.pool.put(account, now=self.clock.now())
        self._renew_catalog()
        self._configure()
        self.admission.serve_line()

    def _configure(self) -> None:
        """Tell the pool what the operator, the keys and the manifests say about choosing."""
        runtime = self.runtime
        known = {plan for card in self.cards for plan in card.plans}
        # A plan that no manifest names may serve any model: the upstream knows better.
        strange = self.plans - known
        policy = Policy(
            strategy=runtime.strategy,
            pause_at=runtime.pause_at,
            group_pause_at=runtime.group_pause_at,
            tags=frozenset(tag for caller in self.keys.callers for tag in caller.tags),
            plans={card.slug: frozenset(card.plans) | strange for card in self.cards},
            named_only=self._configured() - {card.slug for card in self.cards},
        )
        if policy != self.pool.policy:
            self.pool.configure(policy, now=self.clock.now())

    def _rated(self, account: Account, outcome: Outcome) -> None:
        self.rates.attempt(account.id, outcome, now=self.clock.now())

    def reset(self, account_id: AccountId) -> None:
        """Forget every rest of an account, as its operator knows better."""
        self.pool.reset(account_id, now=self.clock.now())
        self.sharing.announce(AccountReset(account_id))
        self.admission.serve_line()

    async def catch_up(self) -> None:
        """Take over what was just stored; if the store is away, `follow` does it later."""
        with suppress(StateError):
            await self.reload()

    async def reload(self) -> None:
        """Take over what the store holds, if it has changed since the last time.

        Raises:
            StateError: The store is away; everything stays as it was.
        """
        # One at a time, so that nothing older replaces what is newer.
        async with self._loading:
            asked_at = self.clock.monotonic()
            revision = await self.store.revision()
            self.store_up = True
            if revision != self.revision:
                await self._load(revision)
                self.revision = revision
            self._looked_at = asked_at
        self.admission.serve_line()

    async def _load(self, revision: int) -> None:
        details = await self.store.accounts.details()
        accounts = [each.account for each in details]
        runtime = await self.store.settings.load()
        keys = await self.store.keys.list()
        await self.books.learn([key.caller for key in keys], runtime)
        self.keys.replace(keys)
        for gone in {state.account.id for state in self.pool.states} - {a.id for a in accounts}:
            self.renewer.forget(gone)
            self.rates.forget(gone)
        self.details = {each.account.id: each for each in details}
        self.runtime = runtime
        self.plans = frozenset(account.plan for account in accounts if account.plan)
        self.stored = accounts
        self._configure()
        self.pool.apply(self._accounts(), now=self.clock.now())
        if self.sharing.reloaded(revision, accounts):
            self.sharing.announce(StoreChanged(revision))
        # In the order of the store, so that all workers tell the same ones apart.
        self.account_counts.keep(account.id for account in accounts if account.enabled)
        for account in accounts:
            self.renewer.watch(account)
        self.probes.interval_s = runtime.probe_interval_s
        self.explanations.mode = runtime.explain
        self.metrics.strategy = runtime.strategy
        self.aliases = runtime.model_aliases
        self._renew_catalog()
        self.relay.settings = structs.replace(
            self.relay.settings,
            attempts_max=runtime.attempts_max,
            first_event_timeout_s=runtime.first_event_timeout_s,
            idle_timeout_s=runtime.idle_timeout_s,
        )
        self.codex.transport = runtime.upstream_transport
        self.codex.sockets.keep(
            {a.id: a.credential.generation for a in accounts if a.enabled},
        )
        self.client.expect_silence(max(runtime.first_event_timeout_s, runtime.idle_timeout_s))

    def _stale(self) -> bool:
        """Tell whether the store may have got keys that this worker has not heard of."""
        return not self.store_up or self.clock.monotonic() - self._looked_at > KNOWN_S

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


def _distance(account: Account) -> tuple[bool, int, AccountId]:
    return account.plan == "free", -account.priority, account.id


def _note_failed_renewal(account_id: AccountId, permanent: bool, code: str) -> None:  # noqa: FBT001 - the renewer's callback
    logger.warning(
        "a credential could not be renewed",
        extra={"account": account_id, "permanent": permanent, "code": code},
    )
