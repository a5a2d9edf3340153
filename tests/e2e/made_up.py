"""Requests that schemathesis makes up from an OpenAPI document, allowed and forbidden ones."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.programs import ROOT, Gateway


def no_request_is_a_defect(
    document: Path, gateway: Gateway, header: str, *options: str, within_s: float
) -> None:
    """Have them sent, and look at every answer as `schema_checks` says."""
    command = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [
            command, "run", document, "--url", gateway.url, "-H", header,
            "--checks", "no_defect", "--phases", "coverage,fuzzing", "--request-timeout", "20",
            "--no-color", "--generation-database", "none", "--seed", "1", *options,
        ],
        cwd=ROOT,
        env=gateway.environment | {"SCHEMATHESIS_HOOKS": "tests.e2e.schema_checks"},
        capture_output=True,
        timeout=within_s,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode()[-5_000:] + done.stderr.decode()[-2_000:]
