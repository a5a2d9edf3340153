"""Metrics of callers' WebSockets: how many there are, what goes over them, how they end."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from app.domain.traffic import Traffic
from app.telemetry.labels import OTHER

CODES: Final = (1000, 1001, 1003, 1008, 1009, 1011, 1012, 1013)
"""What a connection is closed with, here; `caller` stands for its own end."""


class WebSocketGauges:
    """Read at a scrape from those who know."""

    def __init__(self, *, states: Callable[[], Mapping[str, int]], traffic: Traffic) -> None:
        self._states = states
        self._traffic = traffic

    def families(self) -> Iterator[Metric]:
        """Yield what there is now, and what has been."""
        sockets = GaugeMetricFamily(
            "codex2api_websockets", "WebSockets of callers.", labels=("state",)
        )
        for state, count in self._states().items():
            sockets.add_metric((state,), count)
        yield sockets
        traffic = self._traffic
        yield _counter(
            "codex2api_websocket_messages",
            "Messages on callers' WebSockets.",
            "direction",
            {"in": traffic.messages_in, "out": traffic.messages_out},
        )
        yield _counter(
            "codex2api_websocket_bytes",
            "Bytes of those messages.",
            "direction",
            {"in": traffic.bytes_in, "out": traffic.bytes_out},
        )
        yield _counter(
            "codex2api_websocket_connects",
            "Upgrade requests of callers.",
            "result",
            {"opened": traffic.opened, "refused": traffic.refused},
        )
        closed = dict.fromkeys(("caller", *map(str, CODES), OTHER), 0)
        for code, count in traffic.closed.items():
            known = "caller" if code == 0 else str(code) if code in CODES else OTHER
            closed[known] += count
        yield _counter(
            "codex2api_websocket_closes", "Callers' WebSockets that are over.", "code", closed
        )


def _counter(name: str, help_: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, help_, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family
