"""A bar on stderr for what takes long, so that stdout stays what was asked for."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import click

from app.store.copying import Progress


@contextmanager
def bar(label: str, *, hidden: bool) -> Iterator[Progress]:
    """Show how far something is; nothing is shown until it says how many steps it has."""
    with ExitStack() as stack:
        updates: list[Callable[[int], None]] = []

        def total(steps: int) -> None:
            shown = click.progressbar(length=steps, label=label, file=sys.stderr, hidden=hidden)
            updates.append(stack.enter_context(shown).update)

        def done(steps: int) -> None:
            for update in updates:
                update(steps)

        yield Progress(total=total, done=done)
