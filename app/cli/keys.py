"""`codex2api keys`: the keys with which callers ask."""

from datetime import UTC, datetime

import click

from app.cli.command import SecretText, answer, json_option, table, with_store
from app.clock import SystemClock
from app.domain.account import Secret
from app.domain.caller import KeyId
from app.settings import Settings
from app.store.keys import CreatedKey, StoredKey
from app.store.store import Store

_DAY_S = 86_400


@click.group()
def keys() -> None:
    """Make, list and revoke callers' keys."""


@keys.command()
@click.option("--name", required=True, help="Who or what it is for.")
@click.option("--model", "models", multiple=True, help="A model it may ask for; all if none given.")
@click.option(
    "--days", type=click.IntRange(1, 36_500), help="Days until it expires; never if not given."
)
@click.option("--key", type=SecretText(), help="A key of your own: '-' for stdin, or @FILE.")
@json_option
def create(
    *, name: str, models: tuple[str, ...], days: int | None, key: Secret | None, as_json: bool
) -> None:
    """Make a key; it is printed this once and never again."""
    now = SystemClock().now()
    expires_at = None if days is None else now + days * _DAY_S

    async def use(store: Store, _settings: Settings) -> CreatedKey:
        return await store.keys.create(
            name=name, at=now, key=key, expires_at=expires_at, models=models
        )

    made = with_store(use)
    value = {"id": made.caller.id, "name": name, "key": made.key.reveal(), "expires_at": expires_at}
    answer(value, as_json=as_json, lines=[made.key.reveal()])


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
        )
        for key in found
    ]
    lines = table(("ID", "NAME", "KEY", "STATE", "MODELS"), rows) if rows else ["No keys."]
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
    caller = key.caller
    return {
        "id": caller.id,
        "name": caller.name,
        "tail": key.tail,
        "enabled": caller.enabled,
        "expires_at": caller.expires_at,
        "models": caller.models,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def _state(key: StoredKey, *, now: float) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if not key.caller.enabled:
        return "disabled"
    if key.caller.expires_at is None:
        return "works"
    day = datetime.fromtimestamp(key.caller.expires_at, UTC).date().isoformat()
    return f"expired {day}" if key.caller.expires_at <= now else f"until {day}"
