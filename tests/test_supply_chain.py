"""What comes with the packages that the product is made of: nothing that runs by itself."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DIRECT_MAX = 24
"""Direct dependencies: each of them is somebody more to trust."""
LOCKED = sorted(
    set(
        re.findall(r"^([a-z0-9.-]+)", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    )
)


@pytest.mark.parametrize("name", LOCKED)
def test_a_package_runs_nothing_at_the_start_of_python(name: str) -> None:
    """A `.pth` file may hold code that runs in every process, used or not."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        pytest.skip("not for this system")
    assert [str(file) for file in files if file.suffix == ".pth"] == []
    assert not {"sitecustomize.py", "usercustomize.py"} & {file.name for file in files}


def test_there_are_few_direct_dependencies() -> None:
    """One more is a decision; it is made by raising the number here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert len(project["dependencies"]) <= DIRECT_MAX


def test_security_rules_are_not_switched_off() -> None:
    """Bandit's rules are ruff's `S`: for the product none is left out, not even for one file."""
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert lint["select"] == ["ALL"]
    ignored = [*lint["ignore"]]
    for pattern, rules in lint["per-file-ignores"].items():
        ignored += rules if pattern.startswith("app") else []
    assert not [rule for rule in ignored if re.fullmatch(r"S\d*", rule)]


def test_dependencies_are_audited_in_public() -> None:
    """Advisories can be asked for in public workflows only; there they end the run."""
    workflow = (ROOT / ".github" / "workflows" / "audits.yml").read_text("utf-8")
    assert "pip-audit --strict" in workflow
    assert "npm audit" in workflow
