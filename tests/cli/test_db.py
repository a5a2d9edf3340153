"""Tests of app.cli.db."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.settings import Settings
from app.store.store import Store

KEY = "k" * 32


def test_an_upgrade_says_whether_there_was_anything_to_do(run, answer, env) -> None:
    """The first makes the tables and no key, the second finds them there."""
    path = str(Path(env["CODEX_DATA_DIR"]) / "codex2api.db")
    assert answer("db", "upgrade") == {"database": path, "changed": True}
    assert run("db", "upgrade").stdout == f"{path} is already up to date.\n"
    assert not (Path(env["CODEX_DATA_DIR"]) / "secret.key").exists()


def test_an_upgrade_of_postgres_names_its_address(answer, run, env, postgres_url) -> None:
    """Where the tables are, without the user and the password."""
    url = postgres_url.replace("codex2api@", "codex2api:hidden@")
    env |= {"DATABASE_DRIVER": "postgres", "DATABASE_URL": url, "CODEX_SECRET_KEY": KEY}
    place = postgres_url.rpartition("@")[2]
    assert answer("db", "upgrade") == {"database": place, "changed": True}
    assert run("db", "upgrade").stdout == f"{place} is already up to date.\n"


def test_a_move_to_postgres_and_back(answer, run, env, postgres_url, tmp_path) -> None:
    """A key that was made on SQLite is there on Postgres, and in the file that it is saved to."""
    made = answer("keys", "create", "--name", "k")
    path = Path(env["CODEX_DATA_DIR"]) / "codex2api.db"
    done = run("db", "copy", "--from", "env", "--to", postgres_url)
    assert done.exit_code == 0, done.output
    assert f"A gateway on it needs CODEX_SECRET_KEY: the content of {path.parent}" in done.stdout
    assert "all of them are equal" in done.stdout
    assert "Copying" in done.stderr
    env["CODEX_SECRET_KEY"] = (path.parent / "secret.key").read_text().strip()
    env |= {"DATABASE_DRIVER": "postgres", "DATABASE_URL": postgres_url}
    assert [each["id"] for each in answer("keys", "list")] == [made["id"]]
    value = answer("db", "copy", "--from", "env", "--to", f"sqlite:{tmp_path / 'back.db'}")
    assert (value["to"], value["rows"]["keys"], value["restarted"]) == (
        str(tmp_path / "back.db"), 1, False,
    )  # fmt: skip
    saved = run("db", "backup", str(tmp_path / "saved.db"))
    assert "save CODEX_SECRET_KEY as well" in saved.stdout
    refused = run("db", "restore", str(tmp_path / "saved.db"))
    assert (refused.exit_code, "--force" in refused.stderr) == (1, True)
    answer("db", "restore", str(tmp_path / "saved.db"), "--force")
    assert [each["id"] for each in answer("keys", "list")] == [made["id"]]


def test_a_copy_that_holds_something_is_emptied_by_force_only(answer, run, tmp_path) -> None:
    """The message says what it holds and how to go on; the key file is named."""
    answer("keys", "create", "--name", "k")
    other = str(tmp_path / "other" / "x.db")
    answer("db", "copy", "--from", "env", "--to", other)
    refused = run("db", "copy", "--from", "env", "--to", other)
    assert (refused.exit_code, "1 of keys" in refused.stderr) == (1, True)
    done = run("db", "copy", "--from", "env", "--to", other, "--force")
    assert f"too: copy it to {tmp_path / 'other' / 'secret.key'}." in done.stdout


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("copy", "--from", "gone.db", "--to", "x.db"), "There is no database at gone.db."),
        (("copy", "--from", "other.db", "--to", "x.db"), "other.db holds no codex2api database."),
        (("copy", "--from", "env", "--to", "other.db"), "holds the tables of another program"),
        (("copy", "--from", "env", "--to", "mysql://h/x"), "A database is named as"),
        (("copy", "--from", "env", "--to", "env"), "can't be copied into itself"),
        (("copy", "--from", "postgresql://h@127.0.0.1:9/x", "--to", "x.db"), "can't be reached"),
        (("backup", "other.db"), "other.db is there already"),
        (("restore", "gone.db"), "gone.db can't be used: No such file"),
        (("restore", "other.db"), "other.db holds no codex2api database."),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(answer, run, args, told) -> None:
    """With status 1, and nothing is left behind."""
    answer("keys", "create", "--name", "k")
    with closing(sqlite3.connect("other.db")) as connection:
        connection.execute("CREATE TABLE accounts (id)")
    result = run("db", *args)
    assert result.exit_code == 1
    assert told in result.stderr
    assert "Traceback" not in result.output
    assert not Path("x.db").exists()


def test_a_wrong_key_is_told_before_anything_is_copied(answer, run, env) -> None:
    """It would be found only when a gateway starts on the copy."""
    answer("keys", "create", "--name", "k")
    env["CODEX_SECRET_KEY"] = KEY
    result = run("db", "copy", "--from", "env", "--to", "x.db")
    assert (result.exit_code, "does not open this database" in result.stderr) == (1, True)
    assert not Path("x.db").exists()


def test_a_running_gateway_is_noticed(answer, run, env) -> None:
    """Its database may be copied and saved, but not overwritten."""
    answer("keys", "create", "--name", "k")
    answer("db", "backup", "saved.db")
    answer("db", "copy", "--from", "env", "--to", "x.db")

    async def beside_a_gateway(*args: str) -> None:
        async with Store.open(Settings.from_env(env)) as store:
            await store.revision()
            results.append(await asyncio.to_thread(run, *args))

    results: list = []
    asyncio.run(beside_a_gateway("db", "copy", "--from", "env", "--to", "x.db", "--force"))
    asyncio.run(beside_a_gateway("db", "copy", "--from", "x.db", "--to", "env", "--force"))
    asyncio.run(beside_a_gateway("db", "restore", "saved.db"))
    asyncio.run(beside_a_gateway("db", "backup", "again.db"))
    assert [each.exit_code for each in results] == [0, 1, 1, 0]
    assert "is in use" in results[0].stderr
    assert "open: stop it first" in results[1].stderr
    assert "open: stop it first" in results[2].stderr


def test_a_backup_with_its_key_goes_anywhere(answer, run, env, tmp_path) -> None:
    """A fresh machine needs nothing else."""
    made = answer("keys", "create", "--name", "k")
    saved = run("db", "backup", "saved.tar", "--with-key")
    assert "whoever has the file has the accounts" in saved.stdout
    assert "save" in run("db", "backup", "saved.db").stdout
    env["CODEX_DATA_DIR"] = str(tmp_path / "fresh")
    value = answer("db", "restore", "saved.tar")
    assert value == {
        "database": str(tmp_path / "fresh" / "codex2api.db"), "kept": [], "key_restored": True
    }  # fmt: skip
    assert [each["id"] for each in answer("keys", "list")] == [made["id"]]
    assert "is kept as" in run("db", "restore", "saved.tar").stdout


def test_an_interrupted_copy_says_so_when_it_is_run_again(answer, run) -> None:
    """It needs no word of the operator to be thrown away."""
    answer("keys", "create", "--name", "k")
    answer("db", "copy", "--from", "env", "--to", "x.db")
    with closing(sqlite3.connect("x.db")) as connection, connection:
        mark = "UPDATE alembic_version SET version_num = 'unfinished-copy-' || version_num"
        connection.execute(mark)
    done = run("db", "copy", "--from", "env", "--to", "x.db")
    assert done.stdout.startswith("The rest of an interrupted copy was thrown away first.\n")
