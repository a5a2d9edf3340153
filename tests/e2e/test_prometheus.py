"""A real Prometheus scrapes two workers under load, and its totals are the simulator's."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.dashboards import files
from tests.e2e.programs import Program, free_port, until
from tests.e2e.several import Several, running
from tests.e2e.test_workers import agree, hear, spent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are looked up in /proc"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed"),
]

SCRAPE = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: codex2api
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus(Program):
    """A Prometheus of its own, which scrapes a gateway every second."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir()
        super().__init__(folder / "prometheus.log")
        (folder / "prometheus.yml").write_text(SCRAPE.format(port=port))
        self.url = f"http://127.0.0.1:{free_port()}"

    def start(self) -> None:
        """Start it and wait until it takes queries."""
        program = shutil.which("prometheus")
        assert program is not None
        arguments = ("--config.file=prometheus.yml", "--storage.tsdb.path=data")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [program, *arguments, f"--web.listen-address={self.url.removeprefix('http://')}"],
                cwd=self.log.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        until(self._ready, f"Prometheus is ready; see {self.log}", within_s=30)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return everything that a query gives."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query})
        assert answer.is_success, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def ask(self, query: str) -> float:
        """Return the one value that a query gives; -1 if there is none yet."""
        found = self.rows(query)
        return float(found[0]["value"][1]) if found else -1.0

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").status_code == 200
        except httpx.TransportError:
            return False


QUIET = frozenset({
    "accounts.json Lasts",
    "accounts.json The pool's quota lasts",
    "overview.json Calls that fail",
    "overview.json Quota lasts",
    "streams.json Closed",
    "streams.json Handshakes",
    "streams.json Taken by HTTP instead",
    "streams.json Turns by their socket",
})  # fmt: skip
"""Panels that are rightly empty: nothing fails, no WebSocket is used, no quota nears its end."""


def panels() -> dict[str, list[str]]:
    """Return what each panel of each dashboard asks, as Grafana would with its usual choices."""
    found: dict[str, list[str]] = {}
    for name, text in sorted(files().items()):
        for panel in json.loads(text)["panels"]:
            for target in panel.get("targets", ()):
                query = target["expr"].replace("$__rate_interval", "1m")
                query = query.replace("$instance", ".*").replace("$account", ".*")
                found.setdefault(f"{name} {panel['title']}", []).append(query)
    return found


def empty(prometheus: Prometheus) -> set[str]:
    """Return the panels of which no query gives anything."""
    return {
        title
        for title, asked in panels().items()
        if not any(prometheus.rows(query) for query in asked)
    }


@pytest.fixture
def several(tmp_path, postgres, redis_server) -> Iterator[Several]:
    """A gateway with two workers and its simulator."""
    yield from running(tmp_path, postgres, redis_server, accounts=32)


def test_prometheus_sees_what_the_simulator_did(several, tmp_path) -> None:
    """Scraped under load, from whichever worker answers: the totals only grow, and are right."""
    prometheus = Prometheus(tmp_path / "prometheus", several.port)
    try:
        prometheus.start()
        ears = hear(several, 60, then=lambda: None, deltas=20, events_per_s=10)
        assert [ear.broken for ear in ears if not ear.whole] == []
        until(lambda: agree(several), "the totals are the simulator's")
        for name, value in spent(several.simulator).items():
            # The lambda is called before the loop goes on.
            until(lambda: prometheus.ask(f"sum({name})") == value, f"{name} is {value}")  # noqa: B023
            assert prometheus.ask(f"sum(resets({name}[5m]))") == 0
        assert prometheus.ask('min_over_time(up{job="codex2api"}[1m])') == 1
        pieces = 'codex2api_event_added_latency_seconds_count{part="gateway"}'
        assert prometheus.ask(f"sum({pieces})") > 60 * 20 * 0.5
        slow = "histogram_quantile(0.5, sum by (le) (codex2api_stream_gap_seconds_bucket))"
        assert 0 < prometheus.ask(slow) < 1
        # A rate needs two scrapes of what it is of.
        until(lambda: empty(prometheus) <= QUIET, "every panel shows something of a busy gateway")
    finally:
        prometheus.stop()
