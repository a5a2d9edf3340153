"""The overlays with their components, as `kubectl kustomize` puts them together."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
OVERLAYS = ("production", "sqlite")
RULES = ROOT / "observability" / "prometheus" / "alerts.yml"
DASHBOARDS = ROOT / "observability" / "grafana" / "dashboards"
Found = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Found]


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """Return the objects of an overlay with components, by kind and name."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")

    def rendered(overlay: str, *components: str) -> Found:
        here = Path(os.path.relpath(ROOT / "k8s", tmp_path))
        wanted = {
            "resources": [str(here / "overlays" / overlay)],
            "components": [str(here / "components" / each) for each in components],
        }
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
        done = subprocess.run([kubectl, "kustomize", tmp_path], capture_output=True, check=True)
        found = list(yaml.safe_load_all(done.stdout))
        named = {(one["kind"], one["metadata"]["name"]): one for one in found}
        assert len(named) == len(found)
        return named

    return rendered


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("components", [(), ("statefulset",)], ids=["as it is", "statefulset"])
def test_a_monitor_scrapes_each_pod_once(
    render: Render, overlay: str, components: tuple[str, ...]
) -> None:
    """Of the services one is chosen; its port and its job are those that rules count on."""
    if components and overlay == "sqlite":
        pytest.skip("the StatefulSet is one of overlays/production")
    found = render(overlay, *components, "monitoring")
    monitor = found["ServiceMonitor", "codex2api"]["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    services = [one for (kind, _), one in found.items() if kind == "Service"]
    (chosen,) = [one for one in services if wanted <= one["metadata"]["labels"].items()]
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in chosen["spec"]["ports"]}
    assert chosen["metadata"]["labels"][monitor["jobLabel"]] == "codex2api"
    assert endpoint["path"] == "/metrics"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_cluster_is_alarmed_by_the_same_rules(render: Render, overlay: str) -> None:
    """The rules and dashboards of observability/, and nothing else of the overlay changes."""
    bare, found = render(overlay), render(overlay, "monitoring")
    rules = found.pop(("PrometheusRule", "codex2api"))["spec"]
    assert rules == yaml.safe_load(RULES.read_text("utf-8"))
    boards = found.pop(("ConfigMap", "codex2api-dashboards"))
    assert boards["data"] == {
        path.name: path.read_text("utf-8") for path in DASHBOARDS.glob("*.json")
    }
    assert boards["metadata"]["labels"]["grafana_dashboard"] == "1"
    del found["ServiceMonitor", "codex2api"]
    assert found == bare


def test_the_stateful_pod_is_the_deployed_one_with_a_volume(render: Render) -> None:
    """Two copies of one pod must not drift apart."""
    deployed = render("production")["Deployment", "codex2api"]["spec"]["template"]["spec"]
    found = render("production", "statefulset")
    stateful = found["StatefulSet", "codex2api"]["spec"]
    (claim,) = stateful["volumeClaimTemplates"]
    deployed["volumes"] = [one for one in deployed["volumes"] if one["name"] != "data"]
    assert claim["metadata"]["name"] == "data"
    assert stateful["template"]["spec"] == deployed
    scaler = found["HorizontalPodAutoscaler", "codex2api"]["spec"]
    assert scaler["scaleTargetRef"]["kind"] == "StatefulSet"
    assert ("Deployment", "codex2api") not in found
