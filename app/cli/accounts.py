"""`codex2api accounts`: the upstream identities that serve the callers."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from app.accounts.importing import DATA_BYTES_MAX, parse
from app.cli import enrolling
from app.cli.command import SecretText, answer, json_option, one_account, table, with_store
from app.cli.exporting import deliver, exported
from app.cli.probing import Probe, ask_account
from app.clock import SystemClock
from app.domain.account import AccountKind, Credential, Secret
from app.domain.enrolment import Added, Enrolment, StoredAccount
from app.environment import url
from app.settings import Settings
from app.store.store import Store


@click.group()
def accounts() -> None:
    """Add, import, list, test, refresh and export accounts."""


@accounts.command()
@click.option("--name", default="", help="What you call it; by default its e-mail address.")
@click.option("--refresh-token", type=SecretText(), help="'-' for stdin, or @FILE.")
@click.option("--access-token", type=SecretText(), help="'-' for stdin, or @FILE.")
@click.option("--api-key", type=SecretText(), help="Of an OpenAI-like upstream; '-' or @FILE.")
@click.option("--base-url", help="Of that upstream, such as https://api.openai.com/v1.")
@click.option("--proxy-url", type=SecretText(), help="A proxy of its own; '-' or @FILE.")
@click.option("--model", "models", multiple=True, help="A model it may serve; all if none given.")
@json_option
def add(  # noqa: PLR0913 - one argument an option
    *,
    name: str,
    refresh_token: Secret | None,
    access_token: Secret | None,
    api_key: Secret | None,
    base_url: str | None,
    proxy_url: Secret | None,
    models: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add one account. A refresh token alone is exchanged at once, which spends it."""
    if (api_key is None) == (refresh_token is None and access_token is None):
        raise click.UsageError("Give --api-key, or --refresh-token and/or --access-token.")
    if base_url is not None:
        base_url = _plain_url(base_url)
    new = Enrolment(
        name=name,
        kind=AccountKind.OPENAI if api_key else AccountKind.CODEX,
        access_token=api_key or access_token,
        refresh_token=refresh_token,
        base_url=base_url,
        proxy_url=proxy_url,
        models=models,
    )

    async def use(store: Store, settings: Settings) -> Added:
        return await enrolling.enrol(store, settings, new)

    added = with_store(use)
    answer(_added(added), as_json=as_json, lines=[_sentence(added)])


@accounts.command(name="import")
@click.argument("file", type=click.File("rb"))
@json_option
@click.pass_context
def import_accounts(ctx: click.Context, file: BinaryIO, *, as_json: bool) -> None:
    """Add all accounts of FILE ('-' for stdin).

    It may be an auth.json, a list or an export in JSON, lines of tokens, or a zip of those. What
    can't be read is reported with its place, and the rest is added; status 1 if nothing was.
    """
    parsed = parse(file.read(DATA_BYTES_MAX + 1), name=Path(getattr(file, "name", "stdin")).name)

    async def use(store: Store, _settings: Settings) -> list[Added]:
        with click.progressbar(
            length=len(parsed.accounts), label="Importing", file=sys.stderr, hidden=as_json
        ) as bar:
            return await enrolling.enrol_all(store, parsed.accounts, done=bar.update)

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
    answer(value, as_json=as_json, lines=lines)
    if not added:
        ctx.exit(1)


@accounts.command(name="list")
@json_option
def list_accounts(*, as_json: bool) -> None:
    """List the accounts as they are stored; `codex2api accounts test` asks the upstream."""

    async def use(store: Store, _settings: Settings) -> list[StoredAccount]:
        return list(await store.accounts.details())

    found = with_store(use)
    rows = [
        (
            each.account.id,
            each.account.name,
            each.account.kind.value,
            each.account.plan or "",
            _state(each, now=SystemClock().now()),
        )
        for each in found
    ]
    lines = table(("ID", "NAME", "KIND", "PLAN", "STATE"), rows) if rows else ["No accounts."]
    answer([_shown(each) for each in found], as_json=as_json, lines=lines)


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
        return await exported(store, chosen, at=SystemClock().now())

    entries = with_store(use)
    deliver(entries, output)


def _plain_url(text: str) -> str:
    try:
        return url("http", "https")(text)
    except ValueError:
        raise click.UsageError("--base-url takes an http:// or https:// URL, no query.") from None


def _added(added: Added) -> dict[str, object]:
    account = added.account
    return {
        "id": account.id,
        "name": account.name,
        "created": added.created,
        "credential_kept": added.credential_kept,
    }


def _sentence(added: Added) -> str:
    if added.created:
        return f"Added {added.account.name} ({added.account.id})."
    what = "its own credential is fresher" if added.credential_kept else "credential replaced"
    return f"{added.account.name} ({added.account.id}) was there already: {what}."


def _state(found: StoredAccount, *, now: float) -> str:
    account = found.account
    if found.damaged:
        return "damaged: its secrets do not open"
    if not account.enabled:
        return "disabled"
    if found.dead:
        return f"log in again ({found.refused_code})"
    return _credential_state(account.credential, now=now)


def _credential_state(credential: Credential, *, now: float) -> str:
    if credential.expires_at is None:
        return "good"
    if not credential.access_token:
        return "waits for its first renewal"
    day = datetime.fromtimestamp(credential.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if credential.expires_at > now:
        return f"good until {day}"
    return f"due for renewal since {day}" if credential.renewable else f"expired {day}"


def _shown(found: StoredAccount) -> dict[str, object]:
    account = found.account
    same = ("id", "name", "kind", "base_url", "chatgpt_account_id", "email", "plan", "fedramp",
            "enabled", "priority", "concurrency_max", "models")  # fmt: skip
    return {name: getattr(account, name) for name in same} | {
        "expires_at": account.credential.expires_at,
        "renewable": account.credential.renewable,
        "generation": account.credential.generation,
        "proxy": account.proxy_url is not None,
        "created_at": found.created_at,
        "renewed_at": found.renewed_at,
        "refused_code": found.refused_code,
        "dead": found.dead,
        "damaged": found.damaged,
    }
