"""`codex2api keys`: the keys with which callers ask."""

from datetime import UTC, datetime
from typing import Any

import click
from msgspec import UNSET, UnsetType, structs

from app.cli.command import (
    SecretText,
    answer,
    json_option,
    one_key,
    table,
    wait_until_known,
    with_store,
)
from app.cli.options import given, if_given, key_options, name_if_given
from app.clock import SystemClock
from app.domain.account import Secret
from app.domain.caller import Allowance, Caller, KeyId
from app.domain.enrolment import CreatedKey, KeyChanges, StoredKey
from app.domain.ledger import NANO
from app.settings import Settings
from app.store.store import Store

_DAY_S = 86_400
_HEAD = (
    "ID",
    "NAME",
    "KEY",
    "STATE",
    "MODELS",
    "GROUPS",
    "TAGS",
    "LIMITS",
    "ENDPOINTS",
    "NETWORKS",
)


@click.group()
def keys() -> None:
    """Make, list, change and revoke callers' keys."""


@keys.command()
@click.option("--name", required=True, callback=name_if_given, help="Who or what it is for.")
@key_options
@click.option("--days", type=click.IntRange(1, 36_500), help="Instead of --expires: days from now.")
@click.option("--key", type=SecretText(), help="A key of your own: '-' for stdin, or @FILE.")
@json_option
def create(
    *, name: str, chosen: KeyChanges, days: int | None, key: Secret | None, as_json: bool
) -> None:
    """Make a key; it is printed this once and never again.

    A gateway that runs knows it when the command ends.
    """
    now = SystemClock().now()
    if days is not None:
        if chosen.expires_at is not UNSET:
            raise click.UsageError("Give --expires or --days, not both.")
        chosen = structs.replace(chosen, expires_at=now + days * _DAY_S)
    _check_end(chosen, now=now)

    async def use(store: Store, _settings: Settings) -> CreatedKey:
        return await store.keys.create(name=name, at=now, key=key, **_fields(chosen))

    made = with_store(use)
    value = _said(made.caller) | {"key": made.key.reveal()}
    answer(value, as_json=as_json, lines=[made.key.reveal()])
    wait_until_known()


@keys.command(name="set")
@click.argument("key")
@click.option("--name", callback=name_if_given, help="Who or what it is for.")
@click.option(
    "--enable/--disable", "enabled", default=None, callback=if_given, help="Whether it works."
)
@key_options
@json_option
def set_key(
    *,
    key: str,
    name: str | UnsetType,
    enabled: bool | UnsetType,
    chosen: KeyChanges,
    as_json: bool,
) -> None:
    """Change KEY (an id or a name).

    What is not given stays as it is. A list such as the groups is replaced as a whole; '' empties
    it. A running gateway follows within two seconds.
    """
    chosen = structs.replace(chosen, name=name, enabled=enabled)
    if not given(chosen):
        raise click.UsageError("Say what to change, such as --group team-a.")
    _check_end(chosen, now=SystemClock().now())

    async def use(store: Store, _settings: Settings) -> StoredKey | None:
        found = await one_key(store, key)
        return await store.keys.change(found.caller.id, chosen)

    changed = with_store(use)
    if changed is None:
        raise click.ClickException(f"The key {key!r} was revoked meanwhile.")
    said = f"Changed {', '.join(given(chosen))} of {changed.caller.name} ({changed.caller.id})."
    answer(_shown(changed), as_json=as_json, lines=[said])


@keys.command(name="list")
@click.option("--revoked", is_flag=True, help="The revoked ones too.")
@json_option
def list_keys(*, revoked: bool, as_json: bool) -> None:
    """List the keys; of the key itself only the last characters are known."""

    async def use(store: Store, _settings: Settings) -> list[StoredKey]:
        return await store.keys.list(revoked=revoked)

    found = with_store(use)
    rows = [
        (
            key.caller.id,
            key.caller.name,
            f"...{key.tail}" if key.tail else "",
            _state(key, now=SystemClock().now()),
            ",".join(key.caller.models) or "all",
            ",".join(key.caller.groups) or "all",
            ",".join(key.caller.tags),
            _limits(key.caller.allowance),
            ",".join(key.caller.endpoints) or "all",
            ",".join(key.caller.networks) or "any",
        )
        for key in found
    ]
    lines = table(_HEAD, rows) if rows else ["No keys."]
    answer([_shown(key) for key in found], as_json=as_json, lines=lines)


@keys.command()
@click.argument("key_id")
@json_option
def revoke(*, key_id: str, as_json: bool) -> None:
    """Revoke a key for good; a running gateway refuses it within two seconds."""

    async def use(store: Store, _settings: Settings) -> bool:
        return await store.keys.revoke(KeyId(key_id), at=SystemClock().now())

    if not with_store(use):
        raise click.ClickException(f"No key that works has the id {key_id!r}.")
    answer({"id": key_id, "revoked": True}, as_json=as_json, lines=[f"{key_id} is revoked."])


def _shown(key: StoredKey) -> dict[str, object]:
    return _said(key.caller) | {
        "tail": key.tail,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def _said(caller: Caller) -> dict[str, object]:
    return {
        "id": caller.id,
        "name": caller.name,
        "enabled": caller.enabled,
        "expires_at": caller.expires_at,
        "models": caller.models,
        "groups": caller.groups,
        "tags": caller.tags,
        "endpoints": caller.endpoints,
        "networks": caller.networks,
        "requests_per_minute": caller.allowance.requests_per_minute,
        "tokens_per_minute": caller.allowance.tokens_per_minute,
        "concurrency_max": caller.allowance.concurrency_max,
        "day_budget_usd": _usd(caller.allowance.day_nusd),
        "month_budget_usd": _usd(caller.allowance.month_nusd),
    }


def _fields(chosen: KeyChanges) -> dict[str, Any]:
    """Return what was chosen for a new key, its limits together."""
    fields = given(chosen)
    names = [name for name in Allowance.__struct_fields__ if name in fields]
    limits = {name: fields.pop(name) for name in names}
    return {**fields, "allowance": Allowance(**limits)}


def _usd(nusd: int | None) -> float | None:
    return None if nusd is None else nusd / NANO


def _limits(allowance: Allowance) -> str:
    """Return a key's limits in a few words."""
    told = (
        (allowance.requests_per_minute, "{}/min"),
        (allowance.tokens_per_minute, "{} tokens/min"),
        (allowance.concurrency_max, "{} at a time"),
        (_usd(allowance.day_nusd), "${:g}/day"),
        (_usd(allowance.month_nusd), "${:g}/month"),
    )
    return ", ".join(form.format(value) for value, form in told if value is not None) or "none"


def _check_end(chosen: KeyChanges, *, now: float) -> None:
    if isinstance(chosen.expires_at, float) and chosen.expires_at <= now:
        raise click.BadParameter(
            "that moment has passed; --disable or `keys revoke` stops a key.",
            param_hint="--expires",
        )


def _state(key: StoredKey, *, now: float) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if not key.caller.enabled:
        return "disabled"
    if key.caller.expires_at is None:
        return "works"
    day = datetime.fromtimestamp(key.caller.expires_at, UTC).date().isoformat()
    return f"expired {day}" if key.caller.expires_at <= now else f"until {day}"
