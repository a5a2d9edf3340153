"""`codex2api`: the program's name on the command line, and the nouns below it."""

import click

from app import __version__
from app.cli.accounts import accounts
from app.cli.command import Commands
from app.cli.config import config
from app.cli.db import db
from app.cli.doctor import doctor
from app.cli.keys import keys
from app.cli.serve import serve


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="codex2api")
def main() -> None:
    """One address in front of many Codex accounts, OpenAI keys and compatible upstreams.

    Configured by environment variables; `codex2api config schema` lists them.
    """


for command in (accounts, config, db, doctor, keys, serve):
    main.add_command(command)
