"""`codex2api import`: what another gateway's database holds, taken over."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
from msgspec import Struct

from app.cli.command import answer, json_option
from app.cli.migrating import Outcome, take
from app.cli.places import Place, settings_at
from app.cli.progress import bar
from app.domain.caller import Allowance
from app.foreign import codex_lb, go, litellm
from app.foreign.found import Found, FoundKey
from app.foreign.reading import Product, Tables, read
from app.settings import Driver, Settings
from app.store.store import database_name

_NANO = 1_000_000_000
_REMARKS_TOLD_MAX = 200
_KEY_FILE_BYTES_MAX = 4_096
_CODEX_LB_KEY = "encryption.key"

F = TypeVar("F", bound=Callable[..., None])


class _Reader(Struct, frozen=True):
    """A product, and what makes sense of its tables."""

    product: Product
    found: Callable[..., Found]


@click.group(name="import")
def imports() -> None:
    """Take over accounts, callers' keys and budgets from another gateway's database.

    SOURCE is a SQLite file, `postgresql://...`, or `@FILE` with such a URL in it. It is only read.
    What can't be taken is listed with its reason, and the rest is taken; status 1 if nothing could
    be. Two gateways must not renew the same accounts: stop the other one first.
    """


def _options(command: F) -> F:
    for option in (
        json_option,
        click.option(
            "--make-keys",
            is_flag=True,
            help="Make new keys for those that can't be taken over; prints them once.",
        ),
        click.option("--dry-run", is_flag=True, help="Only say what would be taken."),
        click.argument("source", type=Place()),
    ):
        command = option(command)
    return command


_key_file_option = click.option(
    "--key-file", type=click.Path(path_type=Path), help="The key that opens its tokens."
)  # fmt: skip


@imports.command(name="go")
@_options
@_key_file_option
def import_go(
    *, source: str, dry_run: bool, make_keys: bool, key_file: Path | None, as_json: bool
) -> None:
    """Take over from the Go Codex2API: accounts, groups, tags, keys as they are, limits.

    --key-file is needed only if it sealed its tokens with a key of its own.
    """
    reader = _Reader(go.PRODUCT, go.found)
    _import(reader, source, key_file, dry_run=dry_run, make_keys=make_keys, as_json=as_json)


@imports.command(name="codex-lb")
@_options
@_key_file_option
def import_codex_lb(
    *, source: str, dry_run: bool, make_keys: bool, key_file: Path | None, as_json: bool
) -> None:
    """Take over from codex-lb: accounts as they are, keys with their budgets.

    Its key file is looked for beside a SQLite file, unless --key-file names it.
    """
    reader = _Reader(codex_lb.PRODUCT, codex_lb.found)
    _import(reader, source, key_file, dry_run=dry_run, make_keys=make_keys, as_json=as_json)


@imports.command(name="litellm")
@_options
def import_litellm(*, source: str, dry_run: bool, make_keys: bool, as_json: bool) -> None:
    """Take over from LiteLLM: keys with their models, limits and budgets."""
    reader = _Reader(litellm.PRODUCT, litellm.found)
    _import(reader, source, None, dry_run=dry_run, make_keys=make_keys, as_json=as_json)


def _import(
    reader: _Reader,
    source: str,
    key_file: Path | None,
    *,
    dry_run: bool,
    make_keys: bool,
    as_json: bool,
) -> None:
    settings = Settings.from_env()
    where = settings_at(source, settings)
    secret = _secret(where, reader, key_file)
    with bar("Importing", hidden=as_json or dry_run) as progress:

        async def run() -> Outcome:
            tables: Tables = await read(where, reader.product)
            found = reader.found(tables, secret=secret)
            return await take(
                settings, found, dry_run=dry_run, make_keys=make_keys, progress=progress
            )

        outcome = asyncio.run(run())
    value = {
        "source": database_name(where),
        "dry_run": dry_run,
        "accounts": outcome.accounts,
        "keys": outcome.keys,
        "made": outcome.made,
        "to_make": [_shown(each) for each in outcome.to_make],
        "remarks": outcome.remarks,
    }
    answer(value, as_json=as_json, lines=_lines(outcome, dry_run=dry_run, make_keys=make_keys))
    if outcome.remarks and not outcome.usable:
        click.get_current_context().exit(1)


def _secret(where: Settings, reader: _Reader, key_file: Path | None) -> str | None:
    """Return the content of the key file, if one is named or lies where codex-lb keeps it."""
    if (
        key_file is None
        and reader.product is codex_lb.PRODUCT
        and where.database_driver is Driver.SQLITE
    ):
        beside = where.sqlite_path.parent / _CODEX_LB_KEY
        key_file = beside if beside.exists() else None
    if key_file is None:
        return None
    try:
        with key_file.open("r", encoding="utf-8") as file:
            return file.read(_KEY_FILE_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{key_file} can't be read: {error}.") from error


def _lines(outcome: Outcome, *, dry_run: bool, make_keys: bool) -> list[str]:
    shown = outcome.remarks[:_REMARKS_TOLD_MAX]
    lines = [
        f"{each.row} ({each.name or '-'}): {'taken, but ' if each.taken else ''}{each.reason}."
        for each in shown
    ]
    if len(outcome.remarks) > len(shown):
        lines.append(f"... and {len(outcome.remarks) - len(shown)} more; --json lists all.")
    if outcome.to_make:
        lines.append(
            "These keys are stored in a form that is not known, so they must be made anew"
            + ("" if make_keys else " (--make-keys does that)")
            + " and given to their callers:"
        )
        lines += [f"  {each.name}: {_limits(each)}" for each in outcome.to_make]
    lines += [f"{each.name}  {each.key}" for each in outcome.made]
    would = "would be " if dry_run else ""
    for noun, tally in (("accounts", outcome.accounts), ("keys", outcome.keys)):
        lines.append(f"{tally.added} {noun} {would}added, {tally.there_already} there already.")
    refused = sum(not each.taken for each in outcome.remarks)
    lines.append(f"{refused} rows can't be taken, {len(outcome.made)} keys were made anew.")
    return lines


def _shown(key: FoundKey) -> dict[str, object]:
    allowance = key.allowance
    return {
        "row": key.row,
        "name": key.name,
        "enabled": key.enabled,
        "expires_at": key.expires_at,
        "models": key.models,
        "groups": key.groups,
        "requests_per_minute": allowance.requests_per_minute,
        "tokens_per_minute": allowance.tokens_per_minute,
        "concurrency_max": allowance.concurrency_max,
        "day_budget_usd": _usd(allowance.day_nusd),
        "month_budget_usd": _usd(allowance.month_nusd),
    }


def _limits(key: FoundKey) -> str:
    """Return what a key may do, in words."""
    told = ["models " + ", ".join(key.models) if key.models else "all models"]
    told += _allowed(key.allowance)
    if key.expires_at is not None:
        told.append(f"until {datetime.fromtimestamp(key.expires_at, UTC):%Y-%m-%d}")
    if not key.enabled:
        told.append("disabled")
    return "; ".join(told)


def _allowed(allowance: Allowance) -> list[str]:
    figures = (
        (allowance.requests_per_minute, "{} requests a minute"),
        (allowance.tokens_per_minute, "{} tokens a minute"),
        (allowance.concurrency_max, "{} at a time"),
        (_usd(allowance.day_nusd), "{} USD a day"),
        (_usd(allowance.month_nusd), "{} USD a month"),
    )
    return [words.format(figure) for figure, words in figures if figure is not None]


def _usd(nusd: int | None) -> float | None:
    return None if nusd is None else nusd / _NANO
