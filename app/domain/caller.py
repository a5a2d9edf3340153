"""A caller: who asks us, known by a key that is stored only as a digest."""

from typing import NewType

from msgspec import Struct

KeyId = NewType("KeyId", str)


class Allowance(Struct, frozen=True):
    """What a key may spend; None means without a limit. Money is in nano-dollars."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency_max: int | None = None
    """Calls under way at a time."""
    day_nusd: int | None = None
    """What its calls may cost in a day of UTC."""
    month_nusd: int | None = None
    """What they may cost in a month of UTC."""

    @property
    def unlimited(self) -> bool:
        """Tell whether nothing at all is limited."""
        return self == _UNLIMITED


_UNLIMITED = Allowance()


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

    endpoints: tuple[str, ...] = ()
    """Endpoint families it may call (`chat`, `responses`, ...); empty means all."""
    networks: tuple[str, ...] = ()
    """Networks it may call from, such as 10.0.0.0/8; empty means any."""
    allowance: Allowance = _UNLIMITED

    def may_use(self, model: str) -> bool:
        """Tell whether the key's allow-list has `model`."""
        return not self.models or model in self.models
