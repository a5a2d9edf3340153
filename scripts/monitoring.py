"""Writes k8s/components/monitoring from observability/: a cluster is told the same things.

The alerts become a PrometheusRule, the dashboards a ConfigMap. Both files have the originals
indented in them, comments and all; nothing is parsed, so this runs before anything is installed.
`make k8s` runs it.
"""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "k8s" / "components" / "monitoring"
ALERTS: Final = ROOT / "observability" / "prometheus" / "alerts.yml"
DASHBOARDS: Final = ROOT / "observability" / "grafana" / "dashboards"
LABELS: Final = """\
    app.kubernetes.io/name: codex2api
    app.kubernetes.io/part-of: codex2api
"""
RULE: Final = """\
# Written by `make k8s` from observability/prometheus/alerts.yml: change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: codex2api
  labels:
{labels}spec:
{alerts}"""
BOARDS: Final = """\
# Written by `make k8s` from observability/grafana/dashboards: change scripts/dashboards.
apiVersion: v1
kind: ConfigMap
metadata:
  name: codex2api-dashboards
  labels:
{labels}    grafana_dashboard: "1"
data:
{boards}"""


def files() -> Iterator[tuple[Path, str]]:
    """Yield each file and what belongs in it."""
    alerts = textwrap.indent(ALERTS.read_text("utf-8"), "  ")
    yield FOLDER / "prometheusrule.yaml", RULE.format(labels=LABELS, alerts=alerts)
    boards = "".join(
        f"  {path.name}: |\n{textwrap.indent(path.read_text('utf-8'), '    ')}"
        for path in sorted(DASHBOARDS.glob("*.json"))
    )
    yield FOLDER / "dashboards.yaml", BOARDS.format(labels=LABELS, boards=boards)


if __name__ == "__main__":
    for file, text in files():
        file.write_text(text, "utf-8")
