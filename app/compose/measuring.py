"""Puts together what `/metrics` shows: which part is asked for what, and who else is added up."""

from typing import Final

from app.compose.gateway import Gateway
from app.settings import Settings
from app.telemetry.account_gauges import AccountGauges
from app.telemetry.exposition import Exposition
from app.telemetry.folder import Folder, this_program
from app.telemetry.logs import LogCounts
from app.telemetry.metrics import Gauges
from app.telemetry.socket_gauges import SocketGauges
from app.telemetry.usage_gauges import UsageGauges
from app.telemetry.websockets import WebSocketGauges

FOLDER: Final = "run/metrics"
"""Below the data directory."""


def folder(settings: Settings, incarnation: str) -> Folder | None:
    """Return this worker's place among the others, or None if it is the only one.

    Raises:
        StateError: The data directory can't be written.
    """
    if settings.workers == 1:
        return None
    return Folder.join(settings.data_dir / FOLDER, program=this_program(), name=incarnation)


def exposition(opened: Gateway, folder: Folder | None) -> Exposition:
    """Return the page of an open gateway."""
    gauges = Gauges(
        accounts=lambda: opened.pool.states,
        waiting=lambda: opened.admission.waiting,
        late=lambda: opened.client.late,
        loop_lag_s=lambda: opened.heartbeat.lag_s,
        store_up=lambda: opened.store_up,
        shared=lambda: (opened.sharing.shared.up, opened.sharing.age_s),
    )
    accounts = AccountGauges(
        states=lambda: opened.pool.states,
        policy=lambda: opened.pool.policy,
        runways=opened.pool.runways,
        counts=opened.account_counts,
        now=opened.clock.now,
    )
    usage = UsageGauges(journal=opened.books.state, costs=lambda: opened.books.accountant.costs)
    return Exposition(
        opened.metrics,
        gauges,
        SocketGauges(opened.codex.sockets, fallbacks=opened.codex.fallbacks),
        WebSocketGauges(states=opened.sockets.states, traffic=opened.sockets.traffic),
        opened.account_counts,
        usage,
        LogCounts(),
        own=(accounts,),
        folder=folder,
        place=opened.account_counts.place,
    )
