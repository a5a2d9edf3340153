"""Both homes are started and asked; what they cost is for a quiet machine to say."""

import shutil

import pytest

from loadtests import homes
from tests.servers import program


@pytest.mark.slow
@pytest.mark.skipif(
    program("postgres") is None or shutil.which("redis-server") is None,
    reason="Postgres or Redis is not installed",
)
def test_both_homes_are_measured(capsys, monkeypatch):
    """No call fails, and each figure is there."""
    monkeypatch.setattr(homes, "RATIO_MAX", 1_000)
    assert homes.main(["--rounds", "1", "--calls", "8"]) == 0
    said = capsys.readouterr().out
    assert "SQLite, memory" in said
    assert "0 calls failed." in said
