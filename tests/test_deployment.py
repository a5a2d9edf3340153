"""The files that others deploy: the image, the compose file and the Kubernetes manifests.

Nothing is started here. The files are read, and held to the few rules whose breach is only seen
in an outage: time to drain, probes that ask different questions, no root, nothing to write to.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import VARIABLES, Settings

ROOT = Path(__file__).parent.parent
YAML_FILES = sorted(
    [
        ROOT / "docker-compose.yml",
        ROOT / ".pre-commit-config.yaml",
        *(ROOT / "k8s").rglob("*.yaml"),
        *(ROOT / ".github").rglob("*.yml"),
    ]
)
RENDERED = sorted((ROOT / "k8s").glob("*.yaml"))
CLOSING_S = 30
"""After the drain: the journal, the pools, and the server's own time to stop its workers."""
DURATION = re.compile(r"(\d+)s")


def relative(path: Path) -> str:
    """Return the path as a test id."""
    return path.relative_to(ROOT).as_posix()


def objects(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a manifest."""
    return [one for one in yaml.safe_load_all(path.read_text("utf-8")) if one is not None]


def one_of_kind(path: Path, kind: str) -> dict[str, Any]:
    """Return the only object of a kind."""
    (found,) = [one for one in objects(path) if one["kind"] == kind]
    return found


def pod(path: Path) -> dict[str, Any]:
    """Return the pod that the deployment makes."""
    return one_of_kind(path, "Deployment")["spec"]["template"]["spec"]


def container(path: Path) -> dict[str, Any]:
    """Return the pod's only container."""
    (found,) = pod(path)["containers"]
    return found


def compose_service() -> dict[str, Any]:
    """Return the compose file's gateway."""
    return objects(ROOT / "docker-compose.yml")[0]["services"]["codex2api"]


def instructions(word: str) -> list[str]:
    """Return the arguments of each such instruction of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    return re.findall(rf"^{word} +(.+)$", text, re.MULTILINE)


@pytest.mark.parametrize("path", YAML_FILES, ids=relative)
def test_a_yaml_file_parses(path: Path) -> None:
    """Every YAML file holds at least one mapping."""
    assert objects(path)
    assert all(isinstance(one, dict) for one in objects(path))


@pytest.mark.parametrize("path", RENDERED, ids=relative)
def test_a_rendered_file_is_what_its_overlay_gives(path: Path) -> None:
    """`make k8s` was run after the last change of a manifest."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    overlay = path.parent / "overlays" / path.stem
    done = subprocess.run([kubectl, "kustomize", overlay], capture_output=True, check=True)
    assert done.stdout.decode() == path.read_text("utf-8")


@pytest.mark.parametrize("path", RENDERED, ids=relative)
def test_a_pod_has_time_to_drain(path: Path) -> None:
    """The grace period covers preStop, the drain and closing down; streams end, none is cut."""
    drain_s = int(one_of_kind(path, "ConfigMap")["data"]["CODEX_DRAIN_TIMEOUT"])
    pre_stop_s = int(container(path)["lifecycle"]["preStop"]["exec"]["command"][-1])
    grace_s = pod(path)["terminationGracePeriodSeconds"]
    assert grace_s >= pre_stop_s + drain_s + CLOSING_S


def test_a_composed_container_has_time_to_drain() -> None:
    """The compose file's grace period covers the drain that it sets."""
    service = compose_service()
    drain_s = int(service["environment"]["CODEX_DRAIN_TIMEOUT"])
    grace_s = int(DURATION.fullmatch(service["stop_grace_period"])[1])
    assert drain_s == Settings().drain_timeout_s
    assert grace_s >= drain_s + CLOSING_S


@pytest.mark.parametrize("path", RENDERED, ids=relative)
def test_probes_ask_different_questions(path: Path) -> None:
    """A pod that drains is not ready but alive; a pod that migrates is not started but not dead."""
    probes = container(path)
    assert probes["livenessProbe"]["httpGet"]["path"] == "/health"
    assert probes["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert probes["startupProbe"]["httpGet"]["path"] == "/health"
    assert probes["readinessProbe"]["failureThreshold"] == 1
    startup = probes["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60


@pytest.mark.parametrize("path", RENDERED, ids=relative)
def test_a_pod_meets_the_restricted_standard(path: Path) -> None:
    """No root, no new privileges, no capabilities, nothing to write to but its volumes."""
    whole, one = pod(path)["securityContext"], container(path)["securityContext"]
    assert whole["runAsNonRoot"] is True
    assert whole["runAsUser"] == 10001
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one["allowPrivilegeEscalation"] is False
    assert one["readOnlyRootFilesystem"] is True
    assert one["capabilities"] == {"drop": ["ALL"]}
    assert pod(path)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("path", RENDERED, ids=relative)
def test_a_pod_has_memory_for_itself_and_no_limit_on_the_processor(path: Path) -> None:
    """Memory is what was asked for; a CPU limit would stall the event loop."""
    resources = container(path)["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    assert "cpu" in resources["requests"]
    assert "cpu" not in resources["limits"]


@pytest.mark.parametrize("path", RENDERED, ids=relative)
def test_sqlite_has_one_writer(path: Path) -> None:
    """With SQLite there is one replica, and the old pod ends before the new one starts."""
    if one_of_kind(path, "ConfigMap")["data"].get("DATABASE_DRIVER", "sqlite") != "sqlite":
        pytest.skip("not on SQLite")
    spec = one_of_kind(path, "Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("path", RENDERED, ids=relative)
def test_secrets_come_as_files(path: Path) -> None:
    """No secret stands in a manifest or in the environment of a process."""
    assert not [one for one in objects(path) if one["kind"] == "Secret"]
    secret = {variable.name for variable in VARIABLES if variable.secret}
    assert not secret & one_of_kind(path, "ConfigMap")["data"].keys()
    assert not secret & {one["name"] for one in container(path)["env"]}


@pytest.mark.parametrize("path", RENDERED, ids=relative)
def test_every_variable_of_a_manifest_is_a_setting(path: Path) -> None:
    """A misspelt name would be ignored in silence."""
    names = {one["name"].removesuffix("_FILE") for one in container(path)["env"]}
    names |= one_of_kind(path, "ConfigMap")["data"].keys()
    assert not names - {variable.name for variable in VARIABLES}


def test_every_variable_of_the_compose_file_is_a_setting() -> None:
    """A misspelt name would be ignored in silence."""
    names = compose_service()["environment"].keys()
    assert not names - {variable.name for variable in VARIABLES}


def test_a_composed_container_has_the_same_limits_as_a_pod() -> None:
    """Read-only, without capabilities, and with a probe."""
    service = compose_service()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/health" in service["healthcheck"]["test"][-1]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_image_runs_without_root_and_ends_on_sigterm() -> None:
    """The image's user, signal, probe and listener are what the manifests count on."""
    assert instructions("USER")[-1] == "10001:10001"
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert "/health" in instructions("HEALTHCHECK")[0]
    environment = " ".join(instructions("ENV"))
    assert "CODEX_BIND=0.0.0.0" in environment
    assert "CODEX_DATA_DIR=/data" in environment


def test_the_image_installs_what_is_locked() -> None:
    """Every package that is fetched has a hash, and none is built from source."""
    fetched = [
        command
        for run in instructions("RUN")
        for command in run.split("&&")
        if "pip install" in command and "--no-index" not in command
    ]
    assert fetched
    assert all("--require-hashes --only-binary :all:" in command for command in fetched)


def test_no_file_names_a_registry_of_images() -> None:
    """Where images come from is the operator's choice: names have no host."""
    images = [line.split()[0] for line in instructions("FROM")]
    images.append(compose_service()["image"])
    images += [container(path)["image"] for path in RENDERED]
    assert not [image for image in images if "." in image.split("/")[0].split(":")[0]]
    assert not [image for image in images if "/" in image]
