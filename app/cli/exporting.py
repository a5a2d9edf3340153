"""Accounts with their tokens, on their way out: to a private file or to stdout.

The form is the flat list that `accounts import` and other gateways read.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from app.domain.account import Account, AccountKind, Secret
from app.domain.enrolment import StoredAccount
from app.store.store import Store


async def exported(
    store: Store, chosen: Sequence[StoredAccount], *, at: float
) -> list[dict[str, object]]:
    """Return what is written of each account; each one gets an event that says so.

    Raises:
        SealBroken: A token does not open.
    """
    found = []
    for each in chosen:
        tokens = await store.accounts.export(each.account.id, at=at)
        if tokens is not None:
            found.append(_entry(each.account, tokens))
    return found


def deliver(entries: Sequence[dict[str, object]], output: Path | None) -> None:
    """Write `entries` to a new file for its owner alone, or to stdout.

    Raises:
        click.ClickException: The file is there already or can't be made.
    """
    document = msgspec.json.format(msgspec.json.encode(entries), indent=2)
    if output is None:
        click.echo(document)
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(document + b"\n")
    except OSError as error:
        raise click.ClickException(f"{output} can't be made: {error.strerror}.") from error
    click.echo(f"Wrote {len(entries)} accounts to {output}; keep that file safe.", err=True)


def _entry(account: Account, tokens: dict[str, Secret | None]) -> dict[str, object]:
    plain = {name: token.reveal() for name, token in tokens.items() if token}
    if account.kind is not AccountKind.CODEX:
        entry: dict[str, object] = {
            "type": account.kind.value,
            "name": account.name,
            "base_url": account.base_url,
            "api_key": plain.get("access_token"),
            "organization": account.organization,
            "project": account.project,
        }
    else:
        entry = {
            "type": "codex",
            "name": account.name,
            "email": account.email,
            "account_id": account.chatgpt_account_id,
            **plain,
        }
        if account.credential.expires_at:
            ends_at = datetime.fromtimestamp(account.credential.expires_at, UTC)
            entry["expired"] = ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    entry |= _settings(account)
    return {name: value for name, value in entry.items() if value is not None}


def _settings(account: Account) -> dict[str, object]:
    """Return what its operator decided of an account; None where that is nothing."""
    return {
        "enabled": None if account.enabled else False,
        "priority": account.priority,
        "concurrency_max": account.concurrency_max,
        "models": account.models or None,
        "model_map": account.model_map or None,
        "groups": account.groups or None,
        "tags": account.tags or None,
        "pause_at": account.pause_at,
    }
