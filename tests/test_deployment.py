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

from app import __version__, serving
from app.environment import read_dotenv
from app.settings import VARIABLES, Driver, Settings

ROOT = Path(__file__).parent.parent
COMPOSED = sorted(ROOT.glob("docker-compose*.yml"))
YAML_FILES = sorted(
    [
        *COMPOSED,
        ROOT / ".pre-commit-config.yaml",
        *(ROOT / "k8s").rglob("*.yaml"),
        *(ROOT / ".github").rglob("*.yml"),
    ]
)
RENDERED = sorted((ROOT / "k8s").glob("*.yaml"))
STATEFUL = ROOT / "k8s" / "components" / "statefulset" / "statefulset.yaml"
CLOSING_S = 30
"""Beside the drain: the dwell before it, the end of workers that are late, and the journal.

The one formula, which pages, comments and files repeat: what passes before SIGTERM, the drain
timeout, and this."""
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


def pods(path: Path) -> list[dict[str, Any]]:
    """Return every pod that a manifest makes, jobs too."""
    makers = ("Deployment", "Job", "StatefulSet")
    return [one["spec"]["template"]["spec"] for one in objects(path) if one["kind"] in makers]


def container(path: Path) -> dict[str, Any]:
    """Return the pod's only container."""
    (found,) = pod(path)["containers"]
    return found


def composed(path: Path) -> dict[str, Any]:
    """Return what a compose file says of the gateway."""
    return objects(path)[0]["services"]["codex2api"]


def variables_of(path: Path) -> set[str]:
    """Return the names that an example of a `.env` shows, also those that are commented out."""
    return set(re.findall(r"^#?([A-Z][A-Z_]+)=", path.read_text("utf-8"), re.MULTILINE))


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


@pytest.mark.parametrize("path", [*RENDERED, STATEFUL], ids=relative)
def test_a_pod_has_time_to_drain(path: Path) -> None:
    """The grace period is preStop, the drain and closing down; streams end, none is cut."""
    configured = one_of_kind(
        path if path in RENDERED else ROOT / "k8s/production.yaml", "ConfigMap"
    )
    drain_s = int(configured["data"]["CODEX_DRAIN_TIMEOUT"])
    (template,) = [
        one["spec"]["template"]["spec"]
        for one in objects(path)
        if one["kind"] in {"Deployment", "StatefulSet"}
    ]
    (gateway,) = template["containers"]
    pre_stop_s = int(gateway["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert template["terminationGracePeriodSeconds"] == pre_stop_s + drain_s + CLOSING_S


@pytest.mark.parametrize("path", COMPOSED, ids=relative)
def test_a_composed_container_has_time_to_drain(path: Path) -> None:
    """The compose file's grace period follows from the drain that it sets."""
    service = composed(path)
    drain_s = int(service["environment"]["CODEX_DRAIN_TIMEOUT"])
    grace_s = int(DURATION.fullmatch(service["stop_grace_period"])[1])
    assert drain_s == Settings().drain_timeout_s
    assert grace_s == drain_s + CLOSING_S


def test_the_server_itself_needs_no_more_than_the_formula_gives() -> None:
    """Beside the drain it waits before it, and for whoever must be killed after it."""
    killed_s = 1
    assert Settings().limits.routing_dwell_s + killed_s + serving.HASTE_S <= CLOSING_S / 2


def test_the_pages_repeat_the_formula() -> None:
    """With its figures, as the files have them."""
    drain_s = Settings().drain_timeout_s
    page = " ".join((ROOT / "docs" / "operate" / "drain.md").read_text("utf-8").split())
    assert f"+ drain timeout + {CLOSING_S} s" in page
    assert f"10 + {drain_s} + {CLOSING_S} = {10 + drain_s + CLOSING_S} s" in page
    assert f"{drain_s + CLOSING_S} s as `stop_grace_period`" in page


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
    assert pods(path)
    for each in pods(path):
        whole = each["securityContext"]
        assert whole["runAsNonRoot"] is True
        assert whole["runAsUser"] == 10001
        assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
        assert each["automountServiceAccountToken"] is False
        for one in (inner["securityContext"] for inner in each["containers"]):
            assert one["allowPrivilegeEscalation"] is False
            assert one["readOnlyRootFilesystem"] is True
            assert one["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("path", RENDERED, ids=relative)
def test_a_pod_has_memory_for_itself_and_no_limit_on_the_processor(path: Path) -> None:
    """Memory is what was asked for; a CPU limit would stall the event loop."""
    for each in pods(path):
        for resources in (inner["resources"] for inner in each["containers"]):
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


@pytest.mark.parametrize("path", COMPOSED, ids=relative)
def test_every_variable_of_a_compose_file_is_a_setting(path: Path) -> None:
    """A misspelt name would be ignored in silence."""
    names = composed(path)["environment"].keys()
    assert not names - {variable.name for variable in VARIABLES}


@pytest.mark.parametrize("path", COMPOSED, ids=relative)
def test_a_composed_container_has_the_same_limits_as_a_pod(path: Path) -> None:
    """Read-only, without capabilities, and with a probe; seen by this machine alone."""
    service = composed(path)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "/health" in service["healthcheck"]["test"][-1]
    for each in objects(path)[0]["services"].values():
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert each["healthcheck"]
        assert all(port.startswith("127.0.0.1:") for port in each.get("ports", []))


def test_the_two_stacks_share_no_volume() -> None:
    """Who starts one after the other finds a fresh gateway, not a mixed one."""
    stacks = [objects(path)[0] for path in COMPOSED]
    names = [name for stack in stacks for name in stack["volumes"]]
    assert len(names) == len(set(names))
    assert len({stack["name"] for stack in stacks}) == len(COMPOSED) == 2


@pytest.mark.parametrize(
    ("example", "beside"),
    [
        (".env.example", {"POSTGRES_PASSWORD", "GRAFANA_PASSWORD"}),
        (".env.sqlite.example", set()),
    ],
)
def test_an_example_shows_settings_only(example: str, beside: set[str]) -> None:
    """Beside what other programs of the stack are told, every name is one that is read."""
    names = variables_of(ROOT / example)
    assert beside <= names
    assert names - beside <= {variable.name for variable in VARIABLES}


@pytest.mark.parametrize("path", COMPOSED, ids=relative)
def test_an_example_and_its_compose_file_start_a_gateway(path: Path, tmp_path: Path) -> None:
    """Every value is one that is taken, those that are commented out too; secrets are filled in."""
    example = ROOT / (".env.sqlite.example" if "sqlite" in path.name else ".env.example")
    text = re.sub(r"^#?([A-Z_]+)=(.+)$", r"\1=\2", example.read_text("utf-8"), flags=re.MULTILINE)
    text = re.sub(r"^([A-Z_]+)=$", rf"\1={'0' * 64}", text, flags=re.MULTILINE)
    file = tmp_path / ".env"
    file.write_text(text)
    given, _ = read_dotenv(file)
    composed_of = {
        name: re.sub(r"\$\{(\w+):[?-]([^}]*)\}", lambda m: given.get(m[1], m[2]), str(value))
        for name, value in composed(path)["environment"].items()
    }
    settings = Settings.from_env({"CODEX_ENV_FILE": str(file)} | composed_of)
    assert settings.bind == "0.0.0.0"  # noqa: S104 - the container's
    assert (settings.workers > 1) == (settings.database_driver is Driver.POSTGRES)


def test_the_stack_asks_for_every_secret_that_it_needs() -> None:
    """What has no default is in the example, empty, and refused with a hint where it is missing."""
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    empty = set(
        re.findall(r"^([A-Z_]+)=$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
    )
    assert asked == empty == {"CODEX_SECRET_KEY", "GRAFANA_PASSWORD", "POSTGRES_PASSWORD"}


@pytest.mark.parametrize("path", RENDERED, ids=relative)
def test_several_replicas_share_what_they_must(path: Path) -> None:
    """Without Postgres and Redis there is one replica; with both, an update refuses nobody."""
    data = one_of_kind(path, "ConfigMap")["data"]
    deployment = one_of_kind(path, "Deployment")["spec"]
    if data.get("DATABASE_DRIVER", "sqlite") == "sqlite":
        assert deployment["replicas"] == 1
        return
    assert (data["DATABASE_DRIVER"], data["CACHE_DRIVER"]) == ("postgres", "redis")
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "replicas" not in deployment  # the autoscaler's to say
    scaler = one_of_kind(path, "HorizontalPodAutoscaler")["spec"]
    assert scaler["minReplicas"] >= 2
    drain_s = int(data["CODEX_DRAIN_TIMEOUT"])
    assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= drain_s
    kinds = [metric["type"] for metric in scaler["metrics"]]
    assert kinds == ["Pods", "Resource"]
    assert one_of_kind(path, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("path", RENDERED, ids=relative)
def test_who_is_selected_is_there(path: Path) -> None:
    """The service reaches gateways alone; the policy of the network holds for every pod."""
    templates = [
        one["spec"]["template"]["metadata"]["labels"]
        for one in objects(path)
        if one["kind"] in {"Deployment", "Job"}
    ]
    selector = one_of_kind(path, "Service")["spec"]["selector"].items()
    reached = [labels for labels in templates if selector <= labels.items()]
    assert len(reached) == 1
    held = one_of_kind(path, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items()
    assert all(held <= labels.items() for labels in templates)


def test_the_migration_is_named_after_its_version() -> None:
    """A job can't be changed, so each version brings its own."""
    (job,) = [one for one in objects(ROOT / "k8s" / "production.yaml") if one["kind"] == "Job"]
    assert job["metadata"]["name"] == f"codex2api-migrate-{__version__.replace('.', '-')}"
    (image,) = [inner["image"] for inner in job["spec"]["template"]["spec"]["containers"]]
    assert image == container(ROOT / "k8s" / "production.yaml")["image"]


def test_the_image_runs_without_root_and_ends_on_sigterm() -> None:
    """The image's user, signal, probe and listener are what the manifests count on."""
    assert instructions("USER")[-1] == "10001:10001"
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert "/health" in instructions("HEALTHCHECK")[0]
    environment = " ".join(instructions("ENV"))
    assert "CODEX_BIND=0.0.0.0" in environment
    assert "CODEX_DATA_DIR=/data" in environment


def test_everything_that_names_a_version_names_this_one() -> None:
    """Label, tags of images and the package: one release, one number."""
    (label,) = re.findall(r'image\.version="([^"]+)"', (ROOT / "Dockerfile").read_text("utf-8"))
    tags = {composed(path)["image"].partition(":")[2] for path in COMPOSED}
    tags |= {container(path)["image"].partition(":")[2] for path in RENDERED}
    for each in (ROOT / "k8s").rglob("kustomization.yaml"):
        (kustomization,) = objects(each)
        tags |= {image["newTag"] for image in kustomization.get("images", ())}
    assert {label, *tags} == {__version__}


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
    images += [each["image"] for path in COMPOSED for each in objects(path)[0]["services"].values()]
    images += [container(path)["image"] for path in RENDERED]
    assert not [image for image in images if "." in image.split("/")[0].split(":")[0]]
