"""The compose file's processes run as it says, without containers."""

import pytest

from loadtests import stack
from tests.conftest import MISSING
from tests.servers import program


def test_secrets_and_defaults_are_put_in():
    """As `docker compose` does with `.env`; nothing is left to be replaced."""
    found = stack.services()
    assert found["codex2api"]["environment"]["CODEX_WORKERS"] == "2"
    assert found["postgres"]["environment"]["POSTGRES_PASSWORD"] == "of-the-stack-alone"
    assert "${" not in str(found)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_all_of_them_become_ready(tmp_path):
    """How soon is measured by the command, on a machine that is quiet."""
    for name in ("postgres", "initdb", "redis-server"):
        if program(name) is None:
            pytest.skip(MISSING.format(name))
    tmp_path.chmod(0o755)
    assert {"postgres", "redis", "codex2api"} <= stack.run(tmp_path).keys()
