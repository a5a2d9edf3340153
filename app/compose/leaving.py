"""The callers that a worker has, whom it lets in, and how it parts from them when it goes away."""

import asyncio
from collections.abc import Callable

from app.edge.inflight import InFlight
from app.edge.sockets.registry import Sockets
from app.edge.strain import Strain
from app.limits import Limits
from app.telemetry import process
from app.telemetry.heartbeat import Heartbeat


class Leaving:
    """Satisfies `app.serving.Closing`; have `strain` measured with each beat."""

    def __init__(self, limits: Limits, heartbeat: Heartbeat) -> None:
        self._dwell_s = limits.routing_dwell_s
        self.strain = Strain(
            lag_s=lambda: heartbeat.lag_s,
            lag_max_s=limits.loop_lag_ready_s,
            descriptors=process.descriptors,
            descriptors_max=process.descriptors_max(),
            descriptors_spare=limits.descriptors_spare,
        )
        self.in_flight = InFlight(calls_max=limits.streams_max, strain=self.strain)
        self.sockets = Sockets(connections_max=limits.callers_sockets_max, strain=self.strain)

    def withdraw(self) -> None:
        """Tell load balancers that this worker goes away; who comes all the same is answered."""
        self.in_flight.withdraw()

    def retire(self) -> None:
        """Withdraw, and drain once load balancers have had the time to notice."""
        self.withdraw()
        asyncio.get_running_loop().call_later(self._dwell_s, self.drain)

    def drain(self) -> None:
        """Take nothing new; what is under way goes on. A second call changes nothing."""
        self.in_flight.drain()
        self.sockets.drain()

    def hurry(self) -> None:
        """End what is under way, with an error that says so."""
        self.in_flight.hurry()
        self.sockets.hurry()

    def when_none(self, then: Callable[[], None]) -> None:
        """Call `then` once no caller has a WebSocket open."""
        self.sockets.when_none(then)
