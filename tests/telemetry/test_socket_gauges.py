"""What a scrape shows of the upstream's sockets."""

from collections import Counter

from msgspec import Struct
from prometheus_client import generate_latest
from prometheus_client.registry import Collector

from app.telemetry.socket_gauges import SocketGauges


class Traffic(Struct):
    """Numbers that can be told apart."""

    messages_sent: int = 1
    messages_received: int = 2
    bytes_sent: int = 3
    bytes_received: int = 4


class Sockets:
    """A pool as it is measured."""

    def __init__(self):
        self.traffic = Traffic()
        self.handshakes = Counter(opened=5)
        self.turns = Counter(reused=6)
        self.cleanups = Counter(idle=7)

    def states(self):
        """Return states."""
        return {"idle": 8, "busy": 9}

    def connections(self):
        """Return states."""
        return {"dialling": 1, "open": 17, "closing": 0}


def test_every_number_has_its_name():
    """The names are those that dashboards hold on to."""
    gauges = SocketGauges(Sockets(), fallbacks={"size": 10})

    class Given(Collector):
        def collect(self):
            return gauges.families()

    page = generate_latest(Given()).decode()
    for line in (
        'codex2api_websocket_pool{state="idle"} 8.0',
        'codex2api_websocket_pool{state="busy"} 9.0',
        'codex2api_upstream_connections{state="open"} 17.0',
        'codex2api_websocket_cleanup_total{reason="idle"} 7.0',
        'codex2api_websocket_handshakes_total{result="opened"} 5.0',
        'codex2api_websocket_turns_total{socket="reused"} 6.0',
        'codex2api_websocket_fallbacks_total{reason="size"} 10.0',
        'codex2api_upstream_messages_total{direction="received"} 2.0',
        'codex2api_upstream_message_bytes_total{direction="sent"} 3.0',
    ):
        assert line in page.splitlines()
