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
    if settings.log_format == "console":
        # For a person; who reads JSON asks /ready.
        url = _url(settings)
        click.echo(
            f"Starting at {url}, with the admin UI at {url}/admin/. Ctrl-C ends it.", err=True
        )
    ctx.exit(run(settings))


def _url(settings: Settings) -> str:
    host = "127.0.0.1" if settings.bind == "0.0.0.0" else settings.bind  # noqa: S104 - it is compared
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"
