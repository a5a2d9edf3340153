"""`codex2api accounts`: the upstream identities that serve the callers."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import click
from msgspec import UNSET, UnsetType, structs

from app.accounts.api_accounts import api_account
from app.accounts.enrolling import backlog
from app.accounts.exporting import exported, sealed, unseal
from app.accounts.importing import DATA_BYTES_MAX, parse
from app.cli import enrolling
from app.cli.command import (
    SecretText,
    account_named,
    answer,
    json_option,
    one_account,
    with_store,
)
from app.cli.exporting import deliver
from app.cli.listing import account_lines, event_lines, filtered, shown
from app.cli.logins import login
from app.cli.options import account_options, given, if_given, name_if_given, names_option
from app.clock import SystemClock
from app.domain.account import AccountId, AccountKind, Secret
from app.domain.enrolment import AccountChanges, AccountEvent, Added, Enrolment, StoredAccount
from app.environment import url
from app.errors import InvalidRequest
from app.settings import Settings
from app.store.store import Store
from app.upstream.probing import Probe, ask_account

_BATCH = 100
_EVENTS_SHOWN = 10


@click.group()
def accounts() -> None:
    """Add, import, list, change, test, refresh and export accounts."""


@accounts.command()
@click.option("--name", default="", help="What you call it; by default its e-mail address.")
@click.option("--refresh-token", type=SecretText(), help="'-' for stdin, or @FILE.")
@click.option("--access-token", type=SecretText(), help="'-' for stdin, or @FILE.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in AccountKind]),
    help="What its upstream is; openai with an API key, else codex.",
)
@click.option("--api-key", type=SecretText(), help="Of an OpenAI-like upstream; '-' or @FILE.")
@click.option("--base-url", help="Of that upstream, such as https://api.openai.com/v1.")
@click.option("--proxy-url", type=SecretText(), help="A proxy of its own; '-' or @FILE.")
@account_options
@json_option
def add(  # noqa: PLR0913 - one argument an option
    *,
    name: str,
    refresh_token: Secret | None,
    access_token: Secret | None,
    kind: str | None,
    api_key: Secret | None,
    base_url: str | None,
    proxy_url: Secret | None,
    chosen: AccountChanges,
    as_json: bool,
) -> None:
    """Add one account. A refresh token alone is exchanged at once, which spends it.

    With --kind openai it is a key of the platform, or of a server that speaks Responses and Chat
    Completions as it does; with --kind compatible a server that speaks Chat Completions (Ollama,
    vLLM and the like). Without --model such an upstream is asked which models it has.
    """
    wanted = AccountKind(kind or ("openai" if api_key else "codex"))
    by_token = refresh_token is not None or access_token is not None
    if wanted is not AccountKind.CODEX and by_token:
        raise click.UsageError("Tokens are for Codex accounts; this kind takes --api-key.")
    if wanted is AccountKind.CODEX:
        if not by_token or api_key is not None:
            raise click.UsageError("Give --api-key, or --refresh-token and/or --access-token.")
        new = Enrolment(
            name=name,
            access_token=access_token,
            refresh_token=refresh_token,
            base_url=None if base_url is None else _plain_url(base_url),
        )
    else:
        try:
            new = api_account(kind=wanted, name=name, api_key=api_key, base_url=base_url)
        except InvalidRequest as error:
            raise click.UsageError(f"--{error.message.replace('_', '-', 1)}") from None
    new = structs.replace(new, proxy_url=proxy_url, **given(chosen))

    async def use(store: Store, settings: Settings) -> Added:
        return await enrolling.enrol(store, settings, new)

    added = with_store(use)
    answer(enrolling.added_value(added), as_json=as_json, lines=[enrolling.added_line(added)])


@accounts.command(name="import")
@click.argument("file", type=click.File("rb"))
@click.option("--passphrase", type=SecretText(), help="Of a sealed export; '-' or @FILE.")
@account_options
@json_option
@click.pass_context
def import_accounts(
    ctx: click.Context,
    file: BinaryIO,
    *,
    passphrase: Secret | None,
    chosen: AccountChanges,
    as_json: bool,
) -> None:
    """Add all accounts of FILE ('-' for stdin).

    It may be an auth.json, a list or an export in JSON, lines of tokens, or a zip of those. What
    can't be read is reported with its place, and the rest is added; status 1 if nothing was.

    The options are for the accounts that are new, and count more than what FILE says. Those that
    are there already keep their settings; `accounts set` changes them.
    """
    data = file.read(DATA_BYTES_MAX + 1)
    found = sealed(data)
    if found is not None:
        if passphrase is None:
            raise click.UsageError("This file is sealed: give --passphrase.")
        data = unseal(found, passphrase)
    parsed = parse(data, name=Path(getattr(file, "name", "stdin")).name)

    async def use(store: Store, settings: Settings) -> list[Added]:
        with click.progressbar(
            length=len(parsed.accounts), label="Importing", file=sys.stderr, hidden=as_json
        ) as bar:
            enroller = enrolling.enroller(store, settings)
            return await enroller.enrol_all(parsed.accounts, chosen=given(chosen), done=bar.update)

    added = with_store(use) if parsed.accounts else []
    created = sum(each.created for each in added)
    kept = sum(each.credential_kept for each in added)
    value = {
        "created": created,
        "replaced": len(added) - created - kept,
        "kept": kept,
        "faults": parsed.faults,
    }
    lines = [f"{fault.file}, {fault.line}: {fault.reason}." for fault in parsed.faults]
    lines.append(f"{created} added, {len(added) - created} were there already ({kept} fresher).")
    lines += backlog(added)
    answer(value, as_json=as_json, lines=lines)
    if not added:
        ctx.exit(1)


@accounts.command(name="list")
@names_option("--group", "groups", help="Those in this group, or in one of several.")
@names_option("--tag", "tags", help="Those with this tag, or with all of several.")
@click.option("--events", is_flag=True, help="What happened to each of them, newest first.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000), help=f"Events shown; {_EVENTS_SHOWN} by default."
)
@json_option
def list_accounts(
    *,
    groups: tuple[str, ...] | UnsetType,
    tags: tuple[str, ...] | UnsetType,
    events: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the accounts as they are stored; `codex2api accounts test` asks the upstream."""
    if limit is not None and not events:
        raise click.UsageError("--limit goes with --events.")

    async def use(
        store: Store, _settings: Settings
    ) -> tuple[Sequence[StoredAccount], Mapping[AccountId, Sequence[AccountEvent]]]:
        found = filtered(await store.accounts.details(), groups=groups or (), tags=tags or ())
        if not events:
            return found, {}
        return found, await store.accounts.latest_events(limit=limit or _EVENTS_SHOWN)

    found, happened = with_store(use)
    now = SystemClock().now()
    value = [shown(each) for each in found]
    lines = account_lines(found, now=now)
    if events:
        for each, entry in zip(found, value, strict=True):
            entry["events"] = happened.get(each.account.id, ())
        lines = [
            line
            for each in found
            for line in event_lines(each, happened.get(each.account.id, ()), now=now)
        ] or lines
    answer(value, as_json=as_json, lines=lines)


@accounts.command(name="set")
@click.argument("names", metavar="[ACCOUNT]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All accounts.")
@names_option("--in-group", "in_groups", help="The accounts in this group, or in one of several.")
@names_option("--with-tag", "with_tags", help="The accounts with this tag, or with all of several.")
@click.option("--name", callback=name_if_given, help="What you call it.")
@click.option(
    "--enable/--disable",
    "enabled",
    default=None,
    callback=if_given,
    help="Whether it takes calls.",
)
@account_options
@json_option
def set_accounts(  # noqa: PLR0913 - one argument an option
    *,
    names: tuple[str, ...],
    everything: bool,
    in_groups: tuple[str, ...] | UnsetType,
    with_tags: tuple[str, ...] | UnsetType,
    name: str | UnsetType,
    enabled: bool | UnsetType,
    chosen: AccountChanges,
    as_json: bool,
) -> None:
    """Change accounts (ids or names, or those that the options choose).

    What is not given stays as it is. A list such as the groups is replaced as a whole; '' empties
    it, and takes --pause-at away. A running gateway follows within seconds.
    """
    chosen = structs.replace(chosen, name=name, enabled=enabled)
    if not given(chosen):
        raise click.UsageError("Say what to change, such as --priority 10.")
    if [bool(names), everything, bool(in_groups or with_tags)].count(True) != 1:
        raise click.UsageError("Name the accounts, or give --all, or --in-group and/or --with-tag.")
    if chosen.name is not UNSET and len(names) != 1:
        raise click.UsageError("--name is for one account at a time.")

    async def use(store: Store, _settings: Settings) -> list[StoredAccount]:
        stored = await store.accounts.details()
        found = (
            [account_named(each, stored) for each in names]
            if names
            else filtered(stored, groups=in_groups or (), tags=with_tags or ())
        )
        await _change(store, found, chosen, hidden=as_json)
        return found

    changed = with_store(use)
    if not changed:
        raise click.ClickException("There is no such account.")
    ids = [each.account.id for each in changed]
    said = f"Changed {', '.join(given(chosen))} of {len(ids)} account{'s' * (len(ids) > 1)}."
    answer({"changed": len(ids), "ids": ids}, as_json=as_json, lines=[said])


@accounts.command()
@click.argument("account")
@json_option
@click.pass_context
def test(ctx: click.Context, account: str, *, as_json: bool) -> None:
    """Ask the upstream whether it lets ACCOUNT (an id or a name) in; costs no quota."""

    async def use(store: Store, settings: Settings) -> tuple[StoredAccount, Probe]:
        found = await one_account(store, account)
        return found, await ask_account(settings, found.account)

    found, probe = with_store(use)
    good = probe.status is not None and probe.status < 400
    said = f"answers {probe.status}" if probe.status else f"can't be reached ({probe.reason})"
    value = {"id": found.account.id, "ok": good, "status": probe.status, "reason": probe.reason}
    answer(value, as_json=as_json, lines=[f"{found.account.name}: the upstream {said}."])
    if not good:
        ctx.exit(1)


@accounts.command()
@click.argument("account")
@json_option
@click.pass_context
def refresh(ctx: click.Context, account: str, *, as_json: bool) -> None:
    """Renew the credential of ACCOUNT (an id or a name) now."""

    async def use(store: Store, settings: Settings) -> tuple[StoredAccount, str | None]:
        found = await one_account(store, account)
        return found, await enrolling.renew(store, settings, found.account)

    found, fault = with_store(use)
    value = {"id": found.account.id, "ok": fault is None, "reason": fault}
    said = "renewed" if fault is None else f"not renewed ({fault})"
    answer(value, as_json=as_json, lines=[f"{found.account.name}: {said}."])
    if fault is not None:
        ctx.exit(1)


@accounts.command()
@click.argument("names", metavar="[ACCOUNT]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All accounts.")
@click.option("--output", type=click.Path(path_type=Path), help="A new file, mode 0600.")
def export(*, names: tuple[str, ...], everything: bool, output: Path | None) -> None:
    """Write accounts with all their tokens, as `accounts import` reads them.

    Whoever has the file has the accounts. Each export leaves an event with the account.
    """
    if everything == bool(names):
        raise click.UsageError("Name the accounts, or give --all.")

    async def use(store: Store, _settings: Settings) -> list[dict[str, object]]:
        chosen = [await one_account(store, name) for name in names]
        if everything:
            chosen = list(await store.accounts.details())
        found = [each.account for each in chosen]
        return await exported(store.accounts, found, at=SystemClock().now())

    entries = with_store(use)
    deliver(entries, output)


async def _change(
    store: Store, found: Sequence[StoredAccount], changes: AccountChanges, *, hidden: bool
) -> None:
    """Change many in batches, so that a running gateway's own writes come in between."""
    ids = [each.account.id for each in found]
    with click.progressbar(
        length=len(ids), label="Changing", file=sys.stderr, hidden=hidden or len(ids) <= _BATCH
    ) as bar:
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            await store.accounts.update_all(batch, changes, at=SystemClock().now())
            bar.update(len(batch))


def _plain_url(text: str) -> str:
    try:
        return url("http", "https")(text)
    except ValueError:
        raise click.UsageError("--base-url takes an http:// or https:// URL, no query.") from None


accounts.add_command(login)
