"""The simulator's counters and gauges, and how its listener treats new connections.

One mutable object that the connections and handlers write and the control API shows. Per-account
figures live in `accounts`.
"""

from typing import Any


class Gauges:
    """What is going on now and what has happened since the start."""

    def __init__(self) -> None:
        self.accept = "normal"
        self.connections_open = 0
        self.in_flight = 0
        self.sockets_open = 0
        self.refreshing = 0
        self.reset()

    def reset(self) -> None:
        """Start counting anew; what is open stays counted."""
        self.connections = 0
        self.connections_max = self.connections_open
        self.requests = 0
        self.in_flight_max = self.in_flight
        self.handshakes = 0
        self.sockets_max = self.sockets_open
        self.refreshes = 0
        self.refreshing_max = self.refreshing
        self.code_exchanges = 0
        self.events = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.disconnects = 0
        self.statuses: dict[int, int] = {}
        self.paths: dict[str, int] = {}

    def opened(self) -> None:
        """Count a connection in."""
        self.connections += 1
        self.connections_open += 1
        self.connections_max = max(self.connections_max, self.connections_open)

    def closed(self) -> None:
        """Count a connection out."""
        self.connections_open -= 1

    def entered(self, path: str) -> None:
        """Count a request in; the control API's own are not counted."""
        self.requests += 1
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        self.paths[path] = self.paths.get(path, 0) + 1

    def left(self, status: int) -> None:
        """Count a request out."""
        self.in_flight -= 1
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def refresh_began(self) -> None:
        """Count a refresh in flight."""
        self.refreshing += 1
        self.refreshing_max = max(self.refreshing_max, self.refreshing)

    def snapshot(self) -> dict[str, Any]:
        """All figures by name."""
        shown = dict(vars(self))
        shown["statuses"] = {str(status): count for status, count in self.statuses.items()}
        return shown
