"""`codex2api serve`: the gateway itself."""

import click

from app.serving import serve as run
from app.settings import Settings


@click.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Serve until SIGTERM or Ctrl-C; running streams are then given time to end."""
    settings = Settings.from_env()
    for warning in settings.warnings():
        click.echo(f"Warning: {warning}", err=True)
    ctx.exit(run(settings))
