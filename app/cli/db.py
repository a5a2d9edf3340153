"""`codex2api db`: the database as such."""

import asyncio
from pathlib import Path

import click

from app.cli.command import answer, json_option
from app.cli.places import Place, require_there, settings_at
from app.cli.progress import bar
from app.clock import SystemClock
from app.compose.books import JOURNAL
from app.errors import StateError
from app.settings import Driver, Settings
from app.store.backup import back_up
from app.store.belonging import release
from app.store.copying import Copied, Progress, check_source
from app.store.copying import copy as copy_database
from app.store.occupancy import occupied
from app.store.restoring import restore as restore_backup
from app.store.store import database_name, database_of, upgrade_schema
from app.store.vault import prove


@click.group()
def db() -> None:
    """Look after the database: bring it up to date, move it, save it and put it back."""


@db.command()
@json_option
def upgrade(*, as_json: bool) -> None:
    """Bring the tables up to date; `serve` does this by itself at its start."""
    settings = Settings.from_env()
    changed = asyncio.run(upgrade_schema(settings))
    state = "brought up to date" if changed else "already up to date"
    name = database_name(settings)
    value = {"database": name, "changed": changed}
    answer(value, as_json=as_json, lines=[f"{name} is {state}."])


@db.command()
@click.option("--from", "from_", type=Place(), required=True, help="What is copied.")
@click.option("--to", type=Place(), required=True, help="Where to; it must be empty.")
@click.option("--force", is_flag=True, help="Delete everything that is in the target first.")
@json_option
def copy(*, from_: str, to: str, force: bool, as_json: bool) -> None:
    """Copy everything from one database into another, SQLite or Postgres, and compare the two.

    A database is `sqlite:PATH`, `postgresql://...`, `env` (the one that the environment names), or
    `@FILE` with one of these in it. Secrets travel sealed, so the copy needs the same key. An
    interrupted copy leaves a target that nothing starts on; run the command again.
    """
    settings = Settings.from_env()
    source, target = settings_at(from_, settings), settings_at(to, settings)
    with bar("Copying", hidden=as_json) as progress:
        copied = asyncio.run(_copy(source, target, force=force, progress=progress))
    names = database_name(source), database_name(target)
    rows = sum(copied.rows.values())
    lines = [f"Copied {rows} rows from {names[0]} to {names[1]}; all of them are equal.",
             _key_needed(source, target)]  # fmt: skip
    if copied.restarted:
        lines.insert(0, "The rest of an interrupted copy was thrown away first.")
    value = {
        "from": names[0], "to": names[1], "rows": copied.rows, "restarted": copied.restarted
    }  # fmt: skip
    answer(value, as_json=as_json, lines=lines)


@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--with-key", is_flag=True, help="A tar of the database and the key that opens it.")
@json_option
def backup(file: Path, *, with_key: bool, as_json: bool) -> None:
    """Save the database to the new FILE, for its owner alone; a gateway may go on working.

    It is a SQLite file, of Postgres too. Without its key it opens nothing: save that as well, or
    use --with-key, and guard that file like the accounts themselves.
    """
    settings = Settings.from_env()
    with bar("Saving", hidden=as_json) as progress:
        asyncio.run(back_up(settings, file, with_key=with_key, progress=progress))
    lines = [f"Saved {database_name(settings)} to {file}."]
    if with_key:
        lines.append("It holds the key too: whoever has the file has the accounts.")
    else:
        lines.append(_reminder(settings))
    answer({"file": str(file), "with_key": with_key}, as_json=as_json, lines=lines)


@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Postgres: delete everything that is there first.")
@json_option
def restore(file: Path, *, force: bool, as_json: bool) -> None:
    """Put the backup FILE in the place of the database; no gateway may have it open.

    A SQLite file that lies there is kept beside it. The key must be the one that the backup was
    made under; a tar brings it along.
    """
    settings = Settings.from_env()
    now = SystemClock().now()
    with bar("Restoring", hidden=as_json or settings.database_driver is Driver.SQLITE) as progress:
        done = asyncio.run(restore_backup(settings, file, at=now, force=force, progress=progress))
    release(settings.data_dir / JOURNAL)
    lines = [f"Restored {done.database} from {file}."]
    lines += [f"What was there is kept as {kept}." for kept in done.kept]
    value = {
        "database": done.database,
        "kept": [str(kept) for kept in done.kept],
        "key_restored": done.key_restored,
    }
    answer(value, as_json=as_json, lines=lines)


async def _copy(source: Settings, target: Settings, *, force: bool, progress: Progress) -> Copied:
    require_there(source)
    if await occupied(target):
        raise StateError(
            f"A gateway, or another program, has {database_name(target)} open: stop it first. "
            "Nothing was changed."
        )
    if await occupied(source):
        click.echo(
            f"Warning: {database_name(source)} is in use. What a gateway writes to it from now on "
            "is not copied; stop it before another one starts on the copy.",
            err=True,
        )
    reader, writer = database_of(source), database_of(target)
    try:
        await check_source(reader)
        # Better to hear of a wrong key now than once everything has been copied.
        async with reader.read() as connection:
            await prove(connection, keys=source.secret_keys, key_file=source.key_file)
        timeout_s = source.limits.store_lock_timeout_s
        return await copy_database(
            reader, writer, force=force, timeout_s=timeout_s, progress=progress
        )
    finally:
        await reader.close()
        await writer.close()


def _key_needed(source: Settings, target: Settings) -> str:
    if source.secret_keys:
        return "A gateway on it needs the same CODEX_SECRET_KEY."
    if target.database_driver is Driver.POSTGRES:
        return f"A gateway on it needs CODEX_SECRET_KEY: the content of {source.key_file}."
    return f"A gateway on it needs {source.key_file} too: copy it to {target.key_file}."


def _reminder(settings: Settings) -> str:
    what = "CODEX_SECRET_KEY" if settings.secret_keys else str(settings.key_file)
    return f"It opens nothing without its key: save {what} as well, and elsewhere."
