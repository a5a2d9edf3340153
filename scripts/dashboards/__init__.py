"""The Grafana dashboards as code: `make dashboards` writes them to observability/grafana."""

from pathlib import Path
from typing import Final

from scripts.dashboards.accounts import ACCOUNTS
from scripts.dashboards.infrastructure import INFRASTRUCTURE
from scripts.dashboards.overview import OVERVIEW
from scripts.dashboards.panels import written
from scripts.dashboards.streams import STREAMS

FOLDER: Final = Path(__file__).resolve().parents[2] / "observability" / "grafana" / "dashboards"


def files() -> dict[str, str]:
    """Return the name of each file, and what stands in it."""
    dashboards = (OVERVIEW, ACCOUNTS, STREAMS, INFRASTRUCTURE)
    return {f"{each.uid.removeprefix('codex2api-')}.json": written(each) for each in dashboards}
