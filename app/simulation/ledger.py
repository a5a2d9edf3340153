"""What happened in a run: counts, waits, a line of figures for every stretch of time.

Only the engine writes here. A digest over all decisions tells whether two runs were the same.
"""

from hashlib import blake2b
from struct import Struct as Record
from typing import Final

from app.domain.usage import Usage

BUCKETS: Final = 240
"""Stretches of time in a run; a plot takes as many of them together as it must."""
WAITS_MAX: Final = 100_000
_RECORD: Final = Record("<dBi")
_FLUSH_BYTES: Final = 1 << 16

LEASED, REFUSED, SERVED, BROKEN, LEFT = range(5)


class Ledger:
    """The account of one run; times are seconds since its start."""

    def __init__(self, *, length_s: float) -> None:
        self.length_s = length_s
        self.bucket_s = length_s / BUCKETS
        self.arrived = 0
        self.served = 0
        self.broken = 0
        self.left = 0
        self.refused: dict[str, int] = {}
        self.tokens = 0
        self.wished_tokens = 0
        self.attempts = 0
        self.decisions = 0
        self.queued = 0
        self.waits: list[float] = []
        """Waits in line of the calls that were served, a sample of at most `WAITS_MAX`."""
        self.exhausted_at: float | None = None
        """When a call was first refused because every account was at its limit."""
        self.served_in = [0] * BUCKETS
        self.refused_in = [0] * BUCKETS
        self.limited_in = [0] * BUCKETS
        self.used_in = [0.0] * BUCKETS
        """Used share of the accounts' tightest windows at the end of each stretch, a mean."""
        self._log = bytearray()
        self._digest = blake2b(digest_size=16)

    def bucket(self, at: float) -> int:
        """Return the stretch of time that `at` is in; what comes after the end is in the last."""
        return min(BUCKETS - 1, int(at / self.bucket_s))

    def note(self, kind: int, at: float, ordinal: int) -> None:
        """Add a decision to the log of which `digest` is made."""
        self.decisions += 1
        self._log += _RECORD.pack(at, kind, ordinal)
        if len(self._log) >= _FLUSH_BYTES:
            self._digest.update(self._log)
            self._log.clear()

    def note_served(self, at: float, waited_s: float, usage: Usage | None) -> None:
        """Count a call that got its whole answer."""
        self.served += 1
        self.served_in[self.bucket(at)] += 1
        if usage is not None:
            self.tokens += usage.total
        if len(self.waits) < WAITS_MAX:
            self.waits.append(waited_s)
        else:  # an old one makes room; no chance is needed, as calls come in no order of waits
            self.waits[self.served % WAITS_MAX] = waited_s

    def note_refused(self, at: float, code: str, *, limited: bool) -> None:
        """Count a call that ended with an error."""
        self.refused[code] = self.refused.get(code, 0) + 1
        bucket = self.bucket(at)
        self.refused_in[bucket] += 1
        if limited:
            self.limited_in[bucket] += 1
            if self.exhausted_at is None:
                self.exhausted_at = at

    @property
    def digest(self) -> str:
        """Return what tells one sequence of decisions from another."""
        whole = self._digest.copy()
        whole.update(self._log)
        return whole.hexdigest()
