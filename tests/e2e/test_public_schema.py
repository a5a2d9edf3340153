"""Requests that callers might send, made up by the hundred: none of them is a defect."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.programs import API_KEY, ROOT, Pair
from tests.e2e.public_schema import document


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_request_that_a_caller_might_send_is_a_defect(start, tmp_path):
    """Each gets an answer, an error that is told, or a refusal; the gateway is never at fault."""
    pair: Pair = start()
    file = tmp_path / "public.json"
    file.write_text(json.dumps(document()), "utf-8")
    command = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [
            command, "run", file, "--url", pair.gateway.url,
            "-H", f"Authorization: Bearer {API_KEY}", "--checks", "no_defect",
            "--max-examples", "12", "--phases", "coverage,fuzzing", "--request-timeout", "20",
            "--no-color", "--generation-database", "none", "--seed", "1",
        ],
        cwd=ROOT,
        env=pair.gateway.environment | {"SCHEMATHESIS_HOOKS": "tests.e2e.schema_checks"},
        capture_output=True,
        timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode()[-5_000:] + done.stderr.decode()[-2_000:]
    assert pair.simulator.records, "no request went as far as the upstream"
    assert b"a call failed inside the gateway" not in pair.gateway.log.read_bytes()
    pair.simulator.mark()
