"""What dashboards are made of, and how Grafana reads them.

A dashboard is rows of panels, a panel a title and what it asks. `@` in a query stands for the
chosen instances, `$A` for the chosen accounts. Everything that Grafana wants besides is filled in
here, the same for all.
"""

import json
from typing import Any, Final

from msgspec import Struct

SOURCE: Final = {"type": "prometheus", "uid": "prometheus"}
WIDTH: Final = 24
RATE: Final = "[$__rate_interval]"


class Panel(Struct, frozen=True, kw_only=True):
    """One panel; `queries` are pairs of an expression and the legend of its series."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    about: str = ""
    stacked: bool = False
    alarm: float | None = None
    """A value from which it is shown in red; a negative one from which down."""
    top: float | None = None
    """The most that there can be, where there is such a thing."""


class Dashboard(Struct, frozen=True, kw_only=True):
    """One dashboard: titles of rows, and their panels."""

    uid: str
    title: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    by_account: bool = False


def rate(metric: str, by: str = "", only: str = "") -> str:
    """Return what asks for the sum of a counter's rates, by labels if wanted."""
    chosen = f"@,{only}" if only else "@"
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate(codex2api_{metric}{{{chosen}}}{RATE}))"


def share(metric: str, share: str, only: str = "") -> str:
    """Return what asks for a quantile of a histogram."""
    by = "le"
    return f"histogram_quantile({share}, {rate(metric + '_bucket', by, only)})"


def shares(metric: str, only: str = "") -> tuple[tuple[str, str], ...]:
    """Return the three quantiles that tell most of a histogram."""
    return tuple((share(metric, f"0.{part}", only), f"p{part}") for part in ("50", "95", "99"))


def now(title: str, query: str, **more: Any) -> Panel:
    """Return a panel that shows one number."""
    return Panel(title=title, queries=((query, ""),), kind="stat", **more)


def over(title: str, *queries: tuple[str, str], **more: Any) -> Panel:
    """Return a panel that shows lines over time."""
    return Panel(title=title, queries=queries, **more)


def written(dashboard: Dashboard) -> str:
    """Return a dashboard as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in dashboard.rows:
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        panels.append({"type": "row", "title": title, "gridPos": place, "panels": []})
        width, height = WIDTH // len(row), 4 if row[0].kind == "stat" else 8
        for at, panel in enumerate(row):
            place = {"x": at * width, "y": top + 1, "w": width, "h": height}
            panels.append(_panel(panel) | {"gridPos": place})
        top += 1 + height
    for number, each in enumerate(panels, start=1):
        each["id"] = number
    others = [{"asDropdown": False, "includeVars": True, "keepTime": True, "tags": ["codex2api"],
               "title": "", "type": "dashboards"}]  # fmt: skip
    document = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["codex2api"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": others,
        "templating": {"list": _choices(dashboard)},
        "panels": panels,
    }
    return json.dumps(document, indent=1) + "\n"


def _choices(dashboard: Dashboard) -> list[dict[str, Any]]:
    labels = [("instance", "codex2api_build_info")]
    if dashboard.by_account:
        labels.append(("account", "codex2api_account_requests_total"))
    return [
        {
            "name": label,
            "type": "query",
            "datasource": SOURCE,
            "query": f"label_values({metric}, {label})",
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }
        for label, metric in labels
    ]


def _panel(panel: Panel) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + at), "expr": _asked(query), "legendFormat": legend or "__auto"}
        for at, (query, legend) in enumerate(panel.queries)
    ]
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "thresholds": _steps(panel.alarm)}
    if panel.top is not None:
        defaults["max"] = panel.top
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        fill = 30 if panel.stacked else 0
        defaults["custom"] = {"stacking": stacking, "fillOpacity": fill, "showPoints": "never"}
    found: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
    }
    if panel.about:
        found["description"] = panel.about
    return found


def _asked(query: str) -> str:
    chosen = query.replace("$A", 'account=~"$account"')
    return chosen.replace("@", 'instance=~"$instance"')


def _steps(alarm: float | None) -> dict[str, Any]:
    """Return the colours of values: all well, or red from a value up, or below one."""
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if alarm is not None and alarm >= 0:
        steps.append({"color": "red", "value": alarm})
    elif alarm is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": -alarm}]
    return {"mode": "absolute", "steps": steps}
