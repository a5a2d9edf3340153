"""`codex2api db`: the database as such."""

import asyncio

import click

from app.cli.command import answer, json_option
from app.settings import Settings
from app.store.store import upgrade_schema


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@json_option
def upgrade(*, as_json: bool) -> None:
    """Bring the tables up to date; `serve` does this by itself at its start."""
    settings = Settings.from_env()
    changed = asyncio.run(upgrade_schema(settings))
    state = "brought up to date" if changed else "already up to date"
    value = {"path": str(settings.sqlite_path), "changed": changed}
    answer(value, as_json=as_json, lines=[f"{settings.sqlite_path} is {state}."])
