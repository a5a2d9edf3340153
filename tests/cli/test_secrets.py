"""Tests of app.cli.secrets."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.store.keyring import Keyring

OLD, NEW = "o" * 32, "n" * 32
OLD_KID, NEW_KID = (Keyring([each]).kids[0] for each in (OLD, NEW))


@pytest.fixture
def sealed(env, answer) -> dict[str, str]:
    """A database that the old key has sealed: an account's two tokens, a pepper, the sentinel."""
    env["CODEX_SECRET_KEY"] = OLD
    answer("accounts", "import", "-", text='{"refresh_token": "rt_1", "access_token": "at-1"}')
    return env


def test_the_key_is_changed_in_three_steps(sealed, run, answer) -> None:
    """A new one before the old one, a rotation, the old one away."""
    sealed["CODEX_SECRET_KEY"] = f"{NEW},{OLD}"
    said = run("secrets", "rotate", "--check").stdout
    assert f"Key {NEW_KID} (writes): 0 records." in said
    assert f"Key {OLD_KID} (reads): 4 records." in said
    done = run("secrets", "rotate")
    assert done.exit_code == 0, done.output
    assert "4 records were sealed again." in done.stdout
    assert f"Key {OLD_KID} can be taken out of the keyring; old backups" in done.stdout
    assert "Sealing" in done.stderr
    assert answer("secrets", "rotate") == {
        "writing_key": NEW_KID, "records": {NEW_KID: 4}, "removable": [OLD_KID], "resealed": 0,
        "broken": [], "complete": True,
    }  # fmt: skip
    sealed["CODEX_SECRET_KEY"] = NEW
    assert len(answer("accounts", "list")) == 1
    assert "has one key. To change it" in run("secrets", "rotate").stdout


def test_a_key_that_is_taken_away_too_early_stops_everything(sealed, run) -> None:
    """With the name of the key that is missing."""
    sealed["CODEX_SECRET_KEY"] = NEW
    for command in (("accounts", "list"), ("secrets", "rotate")):
        result = run(*command)
        assert result.exit_code == 1
        assert f"key {OLD_KID}, which is not in the keyring" in result.stderr


def test_the_key_file_may_have_several_lines(env, run, answer) -> None:
    """Its first line writes."""
    answer("accounts", "import", "-", text='{"refresh_token": "rt_1"}')
    key_file = Path(env["CODEX_DATA_DIR"]) / "secret.key"
    old = key_file.read_text()
    key_file.write_text(f"{NEW}\n{old}")
    assert answer("secrets", "rotate")["writing_key"] == NEW_KID
    key_file.write_text(NEW)
    assert len(answer("accounts", "list")) == 1
    assert run("accounts", "list").exit_code == 0


def test_a_record_that_does_not_open_is_named(sealed, run) -> None:
    """And counted by what its key would be."""
    database = Path(sealed["CODEX_DATA_DIR"]) / "codex2api.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE credentials SET access_token = x'00'")
    sealed["CODEX_SECRET_KEY"] = f"{NEW},{OLD}"
    said = run("secrets", "rotate").stdout
    assert "Key unreadable (not in the keyring): 1 records." in said
    assert "A sealed record is cut short or of an unknown version." in said


def test_a_gateway_that_goes_on_with_the_old_key_is_told_of(sealed, run, monkeypatch) -> None:
    """The rotation is not done then, and says so to scripts too."""
    monkeypatch.setattr("app.store.rotation.PASSES_MAX", 1)
    sealed["CODEX_SECRET_KEY"] = f"{NEW},{OLD}"
    result = run("secrets", "rotate")
    assert result.exit_code == 1
    assert "restart it with the new keyring" in result.stdout


def test_there_must_be_something_to_rotate(env, run) -> None:
    """A database that is not there is not made, one that was never used is told."""
    result = run("secrets", "rotate")
    assert (result.exit_code, "There is no database at" in result.stderr) == (1, True)
    assert not Path(env["CODEX_DATA_DIR"]).exists()
    run("db", "upgrade")
    assert "Nothing was ever sealed" in run("secrets", "rotate").stderr
