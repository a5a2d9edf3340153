"""`codex2api secrets`: the keys that everything secret in the database is sealed with."""

import asyncio

import click
from msgspec import Struct

from app.cli.command import answer, json_option
from app.cli.places import require_there
from app.cli.progress import bar
from app.errors import StateError
from app.settings import Settings
from app.store import rotation
from app.store.copying import Progress, require_current
from app.store.rotation import Rotation
from app.store.store import database_of
from app.store.vault import prove


class _State(Struct, frozen=True):
    """The keyring's keys, the writing one first; what each has sealed; what was done, if it was."""

    kids: tuple[str, ...]
    records: dict[str, int]
    done: Rotation | None


@click.group()
def secrets() -> None:
    """Look after the keys that secrets are sealed with."""


@secrets.command()
@click.option("--check", is_flag=True, help="Only count what each key has sealed.")
@json_option
@click.pass_context
def rotate(ctx: click.Context, *, check: bool, as_json: bool) -> None:
    """Seal everything again with the first key of the keyring; gateways may go on working.

    To change the key: put a new one before the old one (in CODEX_SECRET_KEY, separated by commas,
    or as the first line of the key file), restart every gateway, run this, and take the old one
    away once it says so. It may be interrupted and run again. Backups that were made before still
    need the old key.
    """
    settings = Settings.from_env()
    with bar("Sealing", hidden=as_json or check) as progress:
        state = asyncio.run(_rotate(settings, check=check, progress=progress))
    value = {
        "writing_key": state.kids[0] if state.kids else None,
        "records": state.records,
        "removable": _removable(state),
        "resealed": state.done.resealed if state.done else 0,
        "broken": state.done.broken if state.done else [],
        "complete": state.done.complete if state.done else None,
    }
    answer(value, as_json=as_json, lines=_lines(state))
    if state.done and not state.done.complete:
        ctx.exit(1)


async def _rotate(settings: Settings, *, check: bool, progress: Progress) -> _State:
    require_there(settings)
    database = database_of(settings)
    try:
        await require_current(database)
        async with database.read() as connection:
            keys, key_file = settings.secret_keys, settings.key_file
            keyring = await prove(connection, keys=keys, key_file=key_file)
        if keyring is None:
            raise StateError(f"Nothing was ever sealed in {database.name}.")
        done = None
        if not check:
            progress.total(await rotation.rows(database))
            done = await rotation.rotate(database, keyring, done=progress.done)
        return _State(keyring.kids, await rotation.count(database), done)
    finally:
        await database.close()


def _removable(state: _State) -> list[str]:
    return [kid for kid in state.kids[1:] if not state.records.get(kid)]


def _lines(state: _State) -> list[str]:
    lines = []
    for kid in dict.fromkeys((*state.kids, *state.records)):
        role = "writes" if kid == state.kids[0] else "reads"
        known = role if kid in state.kids else "not in the keyring"
        lines.append(f"Key {kid} ({known}): {state.records.get(kid, 0)} records.")
    if state.done:
        lines.append(f"{state.done.resealed} records were sealed again.")
        lines += state.done.broken
    if state.done and not state.done.complete:
        lines.append(
            "A gateway goes on sealing with an older key: restart it with the new keyring, then "
            "run this again."
        )
    elif len(state.kids) == 1:
        lines.append("The keyring has one key. To change it, put a new one before it.")
    for kid in _removable(state):
        lines.append(f"Key {kid} can be taken out of the keyring; old backups still need it.")
    return lines
