"""What of a running worker the admin API may ask for and order, as Protocols."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Drain(Protocol):
    """Makes a replica take no more calls."""

    async def __call__(self) -> None:
        """Drain; a second call changes nothing."""


@runtime_checkable
class ModelNames(Protocol):
    """Tells which models callers may ask for."""

    def __call__(self) -> Sequence[str]:
        """Return their names."""


@runtime_checkable
class TakeOver(Protocol):
    """Lets this worker take over what was just stored, so that who changed it sees it at once."""

    async def __call__(self) -> None:
        """Load what the store holds; if the store is away just then, it follows by itself."""
