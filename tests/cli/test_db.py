"""Tests of app.cli.db."""

from pathlib import Path


def test_an_upgrade_says_whether_there_was_anything_to_do(run, answer, env) -> None:
    """The first makes the tables and no key, the second finds them there."""
    path = str(Path(env["CODEX_DATA_DIR"]) / "codex2api.db")
    assert answer("db", "upgrade") == {"path": path, "changed": True}
    assert run("db", "upgrade").stdout == f"{path} is already up to date.\n"
    assert not (Path(env["CODEX_DATA_DIR"]) / "secret.key").exists()
