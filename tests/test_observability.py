"""Dashboards and alerts ask for what the gateway shows, and are what Prometheus takes."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.compose import gateway
from app.limits import Limits
from app.settings import Settings
from scripts.dashboards import FOLDER, files

ROOT = Path(__file__).parent.parent / "observability"
PROMETHEUS = ROOT / "prometheus"
CONTRACT = """
counter requests_total dialect model code
counter attempts_total outcome
histogram time_to_first_event_seconds
histogram event_added_latency_seconds part
histogram stream_gap_seconds
histogram stream_seconds
gauge streams_in_flight transport
histogram queue_wait_seconds
gauge queue_depth
gauge accounts health
gauge account_used_ratio account window
gauge account_reset_seconds account
gauge pool_runway_seconds
counter credential_refresh_total result
counter selection_total strategy reason
counter tokens_total model kind
counter cost_usd_total model
gauge journal_depth
gauge journal_age_seconds
gauge shared_sync_age_seconds
gauge shared_up
gauge store_up
counter account_requests_total account outcome
counter account_tokens_total account kind
gauge account_tokens_today account
gauge account_error_ratio account
counter websocket_cleanup_total reason
gauge upstream_connections state
gauge websocket_pool state
gauge loop_lag_seconds
info build_info
"""
"""What the contract names: type, name and the labels that it must have."""
OURS = {"instance", "job"}
"""Labels that Prometheus itself adds."""
WORDS = re.compile(r"\b((?:codex2api|process)_\w+)\s*(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
ENDINGS = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
}
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)


class Shown(dict[str, set[str]]):
    """The samples that a gateway shows, and the labels that each can have."""

    types: dict[str, str]
    """By the name of the sample."""


@pytest.fixture
async def shown(tmp_path: Path) -> Shown:
    """What a gateway shows that has just been started."""
    settings = Settings(data_dir=tmp_path, limits=Limits(reload_poll_s=1.0))
    async with gateway(settings) as opened:
        exposition = opened.exposition
        sources = (*exposition._sources, *exposition._own)
        families = [each for source in sources for each in source.families()]
        families += exposition._process.collect()
    found = Shown()
    found.types = {}
    for family in families:
        for ending in ENDINGS.get(family.type, ("",)):
            labels = set(getattr(family, "_labelnames", ()))
            labels |= {label for sample in family.samples for label in sample.labels}
            found[family.name + ending] = labels | {"le"} if ending == "_bucket" else labels
            found.types[family.name + ending] = family.type
    return found


def rules() -> list[dict[str, Any]]:
    """Return the alerts."""
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> list[str]:
    """Return everything that dashboards and alerts ask."""
    found = [rule["expr"] for rule in rules()]
    for path in sorted(FOLDER.glob("*.json")):
        board = json.loads(path.read_text())
        found += [
            target["expr"] for panel in board["panels"] for target in panel.get("targets", ())
        ]
        found += [choice["query"].removeprefix("label_values(").partition(",")[0]
                  for choice in board["templating"]["list"]]  # fmt: skip
    return found


def test_the_dashboards_are_those_of_the_code() -> None:
    """Nobody edits JSON: `make dashboards` writes it."""
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == files()


def test_a_dashboard_is_one_that_grafana_can_show() -> None:
    """Every panel has its place in the grid, over no other one, and a number of its own."""
    for text in files().values():
        board = json.loads(text)
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
            assert place["x"] + place["w"] <= 24
            assert not cells & taken, panel["title"]
            taken |= cells
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers)


async def test_every_metric_that_is_asked_for_exists(shown: Shown) -> None:
    """With every label by which it is chosen or summed."""
    asked: set[str] = set()
    for query in queries():
        words = WORDS.findall(query)
        assert words or "up{" in query, query
        grouped = {label.strip() for group in GROUPED.findall(query) for label in group.split(",")}
        known = set(OURS)
        for name, chosen in words:
            assert name in shown, f"{name} of {query}"
            asked.add(name)
            known |= shown[name]
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", chosen))
            assert labels <= shown[name] | OURS, query
        assert grouped <= known, query
    ours = {name for name in shown if name.startswith("codex2api_")}
    unseen = {name for name in ours - asked if not name.endswith(("_bucket", "_count", "_sum"))}
    assert unseen == set(), "nobody looks at these"


async def test_every_metric_of_the_contract_is_there(shown: Shown) -> None:
    """Of its type, and with its labels."""
    assert "process_resident_memory_bytes" in shown
    for line in CONTRACT.strip().splitlines():
        kind, name, *labels = line.split()
        sample = f"codex2api_{name}{'_bucket' if kind == 'histogram' else ''}"
        assert shown.types.get(sample) in {kind, "gauge" if kind == "info" else kind}, line
        assert set(labels) <= shown[sample], line


@needs_promtool
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    """Also those of dashboards, with a value in the place of each of Grafana's variables."""
    named = []
    for number, query in enumerate(queries()):
        plain = query.replace("$__rate_interval", "5m").replace("$instance", ".*")
        named.append({"record": f"query:{number}", "expr": plain.replace("$account", ".*")})
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": named}]}))
    promtool("check", "rules", str(file))


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then() -> None:
    """Each has a test of its own."""
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    names = [test["name"].partition(".")[0] for test in tests]
    assert sorted(names) == sorted(rule["alert"] for rule in rules())


@needs_promtool
def test_prometheus_takes_its_configuration() -> None:
    """With the alerts that it names."""
    promtool("check", "config", "prometheus.yml")


def test_an_alert_says_what_to_do() -> None:
    """How bad it is, what happens, and what helps."""
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert {"summary", "action"} <= rule["annotations"].keys(), rule["alert"]


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    """The uid that panels name, and the folder that is mounted."""
    (source,) = yaml.safe_load(
        (ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )["datasources"]
    assert source["uid"] == "prometheus"
    for text in files().values():
        panels = json.loads(text)["panels"]
        assert {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"} == {
            source["uid"]
        }


def promtool(*arguments: str) -> None:
    """Run it in the folder of Prometheus; what it complains about is the failure."""
    done = subprocess.run(
        ["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
