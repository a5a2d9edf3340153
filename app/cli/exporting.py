"""Accounts with their tokens, on their way out: to a private file or to stdout.

What is written of an account is `app.accounts.exporting`; `accounts import` and other gateways
read it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec


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
