"""Puts the admin API together: its services, from the running parts of one worker."""

import os
import platform
import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from app import __version__
from app.accounts.enrolling import Enroller
from app.accounts.oauth import Logins
from app.admin.access import Access
from app.admin.audit import Auditor
from app.admin.desk import AccountDesk, Hands, Tried
from app.admin.explaining import Explainer
from app.admin.keys import KeyDesk
from app.admin.live import LiveFeed
from app.admin.overview import JournalNumbers, Overview, Vitals, WorkerRow
from app.admin.passwords import Passwords
from app.admin.roster import Roster
from app.compose import parts
from app.compose.gateway import Gateway
from app.domain.account import Account, AccountId, AccountKind, Secret
from app.domain.ledger import Answered
from app.edge.admin.application import Parts
from app.edge.admin.gate import Gate
from app.ports import UsageUnavailable
from app.store.store import database_name
from app.telemetry import process
from app.upstream.probing import ask_account

if TYPE_CHECKING:
    from app.compose.explaining import Elsewhere

SHOWN: Final = "The admin password is {}\nIt is shown this once; set ADMIN_SECRET to choose one.\n"


class Administration:
    """The services of the admin API in one worker."""

    def __init__(self, opened: Gateway) -> None:
        self._opened = opened
        self._prepare(opened)
        settings, store, clock = opened.settings, opened.store, opened.clock
        server = parts.auth_server(settings, parts.route(settings), clock)
        roster = Roster(
            stored=lambda: opened.details, state=opened.pool.state, rates=opened.rates, clock=clock
        )
        desk = AccountDesk(
            rows=store.accounts,
            roster=roster,
            enroller=Enroller(server=server, rows=store.accounts, clock=clock),
            logins=Logins(
                server=server, pending=store.logins, clock=clock, entropy=secrets.token_bytes
            ),
            hands=Hands(
                reload=opened.catch_up,
                renew=self._renew,
                probe=self._probe,
                reset=opened.reset,
                revive=lambda account_id: store.credentials.revive(account_id, at=clock.now()),
            ),
            clock=clock,
        )
        self.elsewhere = self._elsewhere()
        overview = self._overview(roster)
        self.live = LiveFeed(overview=overview, roster=roster, answered=self._answered)
        self.parts = Parts(
            access=self.access,
            audit=Auditor(rows=store.audit, clock=clock),
            roster=roster,
            desk=desk,
            account_rows=store.accounts,
            keys=KeyDesk(
                rows=store.keys, reports=store.reports, clock=clock, reload=opened.catch_up
            ),
            settings=store.settings,
            reports=store.reports,
            requests=store.request_log,
            overview=overview,
            explainer=Explainer(
                explanations=opened.explanations,
                requests=store.request_log,
                elsewhere=self.elsewhere,
            ),
            live=self.live,
            drain=self._drain,
            model_names=self._model_names,
            take_over=opened.catch_up,
            clock=clock,
        )

    def _prepare(self, opened: Gateway) -> None:
        settings, store = opened.settings, opened.store
        self._given = Secret(settings.admin_secret) if settings.admin_secret else None
        self.access = Access(
            rows=store.administration,
            passwords=Passwords(),
            clock=opened.clock,
            from_environment=self._given is not None,
        )
        self.gate = Gate(
            access=self.access,
            answers=store.idempotency,
            clock=opened.clock,
            trusted_proxies=settings.trusted_proxies,
        )

    async def open(self) -> None:
        """Make sure that there is a password, and show one that was made up.

        Raises:
            StateError: The store is away.
        """
        made = await self.access.prepare(self._given)
        if made is not None:
            # Not by way of the log, which would mask it.
            sys.stderr.write(SHOWN.format(made.reveal()))
            sys.stderr.flush()

    def _elsewhere(self) -> "Elsewhere | None":
        opened = self._opened
        redis = opened.sharing.redis
        if redis is None:
            return None
        # As in `app.compose.sharing`: only where there is a Redis.
        from app.compose.explaining import Elsewhere  # noqa: PLC0415

        return Elsewhere(
            redis,
            installation=opened.store.installation,
            explanations=opened.explanations,
            clock=opened.clock,
        )

    async def answer(self) -> None:
        """Tell other workers what they ask, until cancelled; returns at once if there are none."""
        if self.elsewhere is not None:
            await self.elsewhere.run()

    async def _renew(self, account_id: AccountId, generation: int) -> Account | None:
        return await self._opened.renewer.renew_now(account_id, generation=generation)

    async def _probe(self, account: Account) -> Tried:
        if account.kind is AccountKind.CODEX:
            try:
                await self._opened.probes.probe_now(account.id)
            except UsageUnavailable as error:
                return Tried(ok=False, detail=str(error))
            return Tried(ok=True, detail="it answers")
        answer = await ask_account(self._opened.settings, account)
        good = answer.status is not None and answer.status < 400
        detail = "it answers" if good else answer.reason or f"it answers {answer.status}"
        return Tried(ok=good, detail=detail, status=answer.status)

    def _model_names(self) -> Sequence[str]:
        # The catalogue is replaced as a whole now and then.
        return self._opened.models.catalog.names()

    async def _drain(self) -> None:
        """Drain the workers of this server: those that share its listener."""
        self._opened.leaving.retire()
        self._opened.sharing.drain_siblings()

    def _answered(self) -> tuple[int, Sequence[Answered]]:
        accountant = self._opened.books.accountant
        return accountant.answers, accountant.latest

    def _overview(self, roster: Roster) -> Overview:
        opened = self._opened
        settings = opened.settings
        return Overview(
            vitals=Vitals(
                in_flight=lambda: len(opened.in_flight),
                streams=lambda: opened.metrics.streams,
                queue_depth=lambda: opened.admission.waiting,
                loop_lag_s=lambda: opened.heartbeat.lag_s,
                memory_bytes=process.resident_bytes,
                cpu_s=process.cpu_s,
                store_up=lambda: opened.store_up,
                draining=lambda: opened.in_flight.draining,
                journal=self._journal,
                runway=lambda now: opened.pool.runways.pool(
                    opened.pool.states, opened.pool.policy, now=now
                ),
                connections=self._connections,
                revision=lambda: opened.revision,
            ),
            roster=roster,
            rates=opened.rates,
            reports=opened.store.reports,
            clock=opened.clock,
            worker=WorkerRow(
                version=__version__,
                host=platform.node(),
                pid=os.getpid(),
                incarnation=opened.books.incarnation,
                began_at=opened.clock.now(),
                workers=settings.workers,
            ),
            places=(database_name(settings), settings.cache_driver.value),
        )

    def _connections(self) -> Mapping[str, float]:
        sockets = self._opened.codex.sockets
        open_in = {f"upstream_{name}": count for name, count in sockets.connections().items()}
        pool = {f"websocket_pool_{name}": count for name, count in sockets.states().items()}
        return {**open_in, **pool, "late_requests": self._opened.client.late}

    def _journal(self) -> JournalNumbers:
        state = self._opened.books.state()
        return JournalNumbers(state.depth, state.age_s, state.healthy, state.lost, state.refused)
