"""What the upstream's sockets are like: how many, in which state, and what came of them.

The pool counts; a scrape reads. The share of turns that needed no handshake is that of `reused`
among `codex2api_websocket_turns_total`.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric


class Traffic(Protocol):
    """Messages and bytes of all turns."""

    messages_sent: int
    messages_received: int
    bytes_sent: int
    bytes_received: int


class Sockets(Protocol):
    """A pool of sockets, as far as it is measured. All names are from closed sets."""

    def states(self) -> Mapping[str, int]:
        """Return how many sockets there are, by state."""

    def connections(self) -> Mapping[str, int]:
        """Return how many connections there are, by state."""

    @property
    def traffic(self) -> Traffic:
        """What went over them."""

    @property
    def handshakes(self) -> Mapping[str, int]:
        """How handshakes went."""

    @property
    def turns(self) -> Mapping[str, int]:
        """How turns got their socket."""

    @property
    def cleanups(self) -> Mapping[str, int]:
        """Why sockets were closed."""


class SocketGauges:
    """Metrics of a pool of sockets, and of the calls that HTTP had to take in its place."""

    def __init__(self, sockets: Sockets, *, fallbacks: Mapping[str, int]) -> None:
        self._sockets = sockets
        self._fallbacks = fallbacks

    def families(self) -> Iterator[Metric]:
        """Yield the metrics of now."""
        sockets, traffic = self._sockets, self._sockets.traffic
        yield _gauge("websocket_pool", "Upstream WebSockets.", sockets.states())
        yield _gauge("upstream_connections", "Upstream connections.", sockets.connections())
        yield _counter("websocket_cleanup", "WebSockets closed.", "reason", sockets.cleanups)
        yield _counter("websocket_handshakes", "Handshakes tried.", "result", sockets.handshakes)
        yield _counter("websocket_turns", "Turns by their socket.", "socket", sockets.turns)
        yield _counter(
            "websocket_fallbacks", "Calls that HTTP took instead.", "reason", self._fallbacks
        )
        messages = {"sent": traffic.messages_sent, "received": traffic.messages_received}
        yield _counter("upstream_messages", "Messages of turns.", "direction", messages)
        size = {"sent": traffic.bytes_sent, "received": traffic.bytes_received}
        yield _counter("upstream_message_bytes", "Bytes in them.", "direction", size)


def _gauge(name: str, help_: str, counts: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(f"codex2api_{name}", help_, labels=("state",))
    for state, count in counts.items():
        family.add_metric((state,), count)
    return family


def _counter(name: str, help_: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"codex2api_{name}", help_, labels=(label,))
    for value, count in counts.items():
        family.add_metric((str(value),), count)
    return family
