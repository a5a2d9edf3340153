"""What one key has spent, but not in this process. Pure.

There are two witnesses. The others say what they have spent, within a quarter of a second, but only
those that Redis remembers. The database has everything, but some seconds late, and with what this
process has spent among it. Neither ever says too much, so the larger of the two is believed; and
what the others have spent since the database was read is added to what it said.
"""

from msgspec import Struct, field

from app.allowance.budget import Period
from app.domain.caller import KeyId
from app.domain.shared import KeySpent


class _Base(Struct, frozen=True):
    began_at: int
    nusd: int
    heard_nusd: int
    """What the others had said by then."""


class Elsewhere(Struct):
    """One key's spending elsewhere, in nano-dollars."""

    id: KeyId
    heard: KeySpent = KeySpent(KeyId(""))
    """What the others have said last."""
    bases: dict[Period, _Base] = field(default_factory=dict)

    @property
    def based(self) -> bool:
        """Tell whether the database was asked."""
        return bool(self.bases)

    def base(self, period: Period, nusd: int, *, began_at: int) -> None:
        """Take over what the database has, without what this process has spent."""
        known = self.spent(period, began_at=began_at)
        heard = self._heard(period, began_at)
        self.bases[period] = _Base(began_at, max(known, nusd), heard)

    def spent(self, period: Period, *, began_at: int) -> int:
        """Return what was spent elsewhere in the period that began then."""
        heard = self._heard(period, began_at)
        base = self.bases.get(period)
        if base is None or base.began_at != began_at:
            return heard
        return max(heard, base.nusd + max(0, heard - base.heard_nusd))

    def _heard(self, period: Period, began_at: int) -> int:
        said = self.heard
        if period is Period.DAY:
            return said.day_nusd if said.day_at == began_at else 0
        return said.month_nusd if said.month_at == began_at else 0
