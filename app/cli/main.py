"""`codex2api`: the program's name on the command line, and the nouns below it.

A noun's module is imported when it is asked for. All of them together bring a database toolkit and
HTTP clients, which the process that only supervises workers would hold for as long as it lives.
"""

from importlib import import_module
from typing import Any, Final

import click

from app import __version__
from app.environment import SettingsError
from app.errors import GatewayError

NOUNS: Final = {
    "accounts": "accounts:accounts",
    "config": "config:config",
    "db": "db:db",
    "doctor": "doctor:doctor",
    "import": "imports:imports",
    "keys": "keys:keys",
    "pool": "pool:pool",
    "secrets": "secrets:secrets",
    "serve": "serve:serve",
    "settings": "settings:runtime_settings",
}
"""The nouns, each with the module of this package that holds it, and its name there."""


class Program(click.Group):
    """The nouns as commands, which may raise what the gateway raises."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the nouns in the order of the alphabet."""
        del ctx
        return sorted(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that noun, imported now; None if there is none."""
        del ctx
        if cmd_name not in NOUNS:
            return None
        module, _, name = NOUNS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(f"app.cli.{module}"), name)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; say what went wrong in a sentence instead of a traceback."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            for fault in error.faults:
                click.echo(f"Error: {fault}", err=True)
            ctx.exit(2)
        except GatewayError as error:
            raise click.ClickException(error.message) from error
        except KeyboardInterrupt:
            ctx.exit(130)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="codex2api")
def main() -> None:
    """One address in front of many Codex accounts, OpenAI keys and compatible upstreams.

    Configured by environment variables, which `codex2api config schema` lists; what may change
    while it runs is in the database, and `codex2api settings show` lists that.
    """
