"""Whether this worker can carry more: how late its loop is, and how many descriptors are left.

Both end worse than with a refusal: a loop that is seconds late answers nobody in time, and a worker
without descriptors reaches neither upstream nor database. So new calls are shed before, and those
that run keep what they have.
"""

from collections.abc import Callable
from typing import Final

from app.edge.inflight import RETRY_AFTER_S
from app.errors import Overloaded

LATE: Final = "late"
FULL: Final = "full"
CALL_DESCRIPTORS: Final = 2
"""What a call takes: its caller's connection, and one to the upstream."""
_TEXTS: Final = {
    LATE: "The gateway's event loop lags behind; try again in a moment.",
    FULL: "The gateway has as many connections open as it may; try again in a moment.",
}


class Strain:
    """Satisfies `app.edge.inflight.Strain`; have it `measure` about once a second.

    `lag_s` is how late the loop is; `descriptors` how many are open, of `descriptors_max`; so many
    are kept free.
    """

    def __init__(
        self,
        *,
        lag_s: Callable[[], float],
        lag_max_s: float,
        descriptors: Callable[[], int],
        descriptors_max: int,
        descriptors_spare: int,
    ) -> None:
        self._lag_s = lag_s
        self._lag_max_s = lag_max_s
        self._descriptors = descriptors
        self._descriptors_max = descriptors_max - descriptors_spare
        self._taken = descriptors()

    @property
    def word(self) -> str:
        """What is lacking: `late`, `full`, or nothing."""
        if self._taken >= self._descriptors_max:
            return FULL
        return LATE if self._lag_s() > self._lag_max_s else ""

    def admit(self) -> None:
        """Take one more call into account.

        Raises:
            Overloaded: There is too little for it.
        """
        word = self.word
        if word:
            raise Overloaded(_TEXTS[word], retry_after_s=RETRY_AFTER_S)
        # Until the next look it counts as what it is about to take.
        self._taken += CALL_DESCRIPTORS

    def measure(self) -> None:
        """Count the descriptors that are open."""
        self._taken = self._descriptors()
