"""What every command has in common: settings, an open store, and two ways to answer.

A command prints a few plain lines for people, or with `--json` one JSON document for scripts. A
fault that an operator can act on ends it with one sentence on stderr and a status: 2 for settings
and usage, 1 for everything else. Secrets are read from a file or stdin, so that none need stand in
the arguments, where every process of the machine could read it.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from app.accounts.enrolment import whose
from app.domain.account import AccountId, Secret
from app.domain.enrolment import StoredAccount, StoredKey
from app.settings import Settings
from app.store.occupancy import occupied
from app.store.store import Store

T = TypeVar("T")

SECRET_BYTES_MAX = 1 << 20
NOTICED_S = 0.5
"""What a gateway needs to take a change over, once it has looked."""
_ID_CHARS_MIN = 4

json_option = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")


class SecretText(click.ParamType[Secret]):
    """A secret: `-` reads it from stdin, `@FILE` from a file."""

    name = "-|@FILE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Secret:
        """Return the secret without the blanks around it."""
        if isinstance(value, Secret):
            return value
        text = str(value)
        if text == "-":
            text = sys.stdin.read(SECRET_BYTES_MAX)
        elif text.startswith("@"):
            try:
                text = Path(text[1:]).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                self.fail(f"{text[1:]} can't be read: {error}", param, ctx)
        if not text.strip():
            self.fail("it is empty", param, ctx)
        return Secret(text.strip())


def with_store(use: Callable[[Store, Settings], Awaitable[T]]) -> T:
    """Open the store that the environment names, and return what `use` makes of it."""
    settings = Settings.from_env()

    async def opened() -> T:
        async with Store.open(settings, whose=whose) as store:
            return await use(store, settings)

    return asyncio.run(opened())


def wait_until_known() -> None:
    """Return once gateways that run on this database have had time to hear of the last change.

    They look every `reload_poll_s`; if none runs there is nothing to wait for.
    """
    settings = Settings.from_env()
    if asyncio.run(occupied(settings)):
        time.sleep(settings.limits.reload_poll_s + NOTICED_S)


async def one_account(store: Store, name: str) -> StoredAccount:
    """Return the account that has this id, the beginning of this id, or this name.

    Raises:
        click.ClickException: There is none, or more than one.
    """
    exact = await store.accounts.find(AccountId(name))
    return exact or account_named(name, await store.accounts.details())


def account_named(name: str, found: Sequence[StoredAccount]) -> StoredAccount:
    """Return the one of `found` that has this id, the beginning of this id, or this name.

    Raises:
        click.ClickException: There is none, or more than one.
    """
    return _only("account", name, [(each.account.id, each.account.name, each) for each in found])


async def one_key(store: Store, name: str) -> StoredKey:
    """Return the key that has this id, the beginning of this id, or this name.

    Raises:
        click.ClickException: There is none that works, or more than one.
    """
    found = await store.keys.list()
    return _only("key", name, [(each.caller.id, each.caller.name, each) for each in found])


def answer(value: object, *, as_json: bool, lines: list[str]) -> None:
    """Print `value` as JSON, or else `lines`."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))
    elif lines:
        click.echo("\n".join(lines))


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return lines with the cells of each column below each other."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]


def _only(noun: str, name: str, found: Sequence[tuple[str, str, T]]) -> T:
    matching = [each for known, _, each in found if known == name] or [
        each
        for known, called, each in found
        if called == name or (len(name) >= _ID_CHARS_MIN and known.startswith(name))
    ]
    if len(matching) != 1:
        what = f"No {noun}" if not matching else f"More than one {noun} ({len(matching)})"
        raise click.ClickException(f"{what} has the id or name {name!r}.")
    return matching[0]
