"""`codex2api`: the program's name on the command line, and the nouns below it."""

import click

from app import __version__
from app.cli.accounts import accounts
from app.cli.command import Commands
from app.cli.config import config
from app.cli.db import db
from app.cli.doctor import doctor
from app.cli.imports import imports
from app.cli.keys import keys
from app.cli.pool import pool
from app.cli.secrets import secrets
from app.cli.serve import serve
from app.cli.settings import runtime_settings


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="codex2api")
def main() -> None:
    """One address in front of many Codex accounts, OpenAI keys and compatible upstreams.

    Configured by environment variables, which `codex2api config schema` lists; what may change
    while it runs is in the database, and `codex2api settings show` lists that.
    """


for command in (
    accounts, config, db, doctor, imports, keys, pool, runtime_settings, secrets, serve,
):  # fmt: skip
    main.add_command(command)
