"""A caller: who asks us, known by a key that is stored only as a digest."""

from typing import NewType

from msgspec import Struct

KeyId = NewType("KeyId", str)


class Caller(Struct, frozen=True):
    """One caller's key as the operator set it; the key itself is nowhere."""

    id: KeyId
    name: str
    enabled: bool = True
    expires_at: float | None = None
    models: tuple[str, ...] = ()
    """Models it may ask for; empty means all."""
    groups: tuple[str, ...] = ()
    """Groups of accounts that may serve it, any of them; empty means all accounts."""
    tags: tuple[str, ...] = ()
    """Tags that an account must carry to serve it, all of them."""

    def may_use(self, model: str) -> bool:
        """Tell whether the key's allow-list has `model`."""
        return not self.models or model in self.models
