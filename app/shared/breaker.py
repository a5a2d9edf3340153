"""Stops asking a server that does not answer, and tries now and then whether it does again. Pure.

    closed ──a failure──▶ open ──pause over──▶ one trial ──it worked──▶ closed
                            ▲                      │
                            └───────it failed──────┘

The first failure opens it: whoever asks has waited long enough for that one. As most failures are a
single lost reply, the first pause is short. It does not call anybody; its owner tells it how things
went.
"""

from typing import Final

FIRST_PAUSE_S: Final = 0.25
PAUSE_S: Final = 1.0


class Breaker:
    """Decides whether a server is to be asked now; `now` is a monotonic clock's."""

    def __init__(self, *, first_pause_s: float = FIRST_PAUSE_S, pause_s: float = PAUSE_S) -> None:
        self._first_pause_s = first_pause_s
        self._pause_s = pause_s
        self._open = False
        self._retry_at = 0.0

    @property
    def closed(self) -> bool:
        """Tell whether the server answered the last time."""
        return not self._open

    def admits(self, now: float) -> bool:
        """Tell whether to ask now. While it is open, True makes the asker its only trial."""
        if not self._open:
            return True
        if now < self._retry_at:
            return False
        self._retry_at = now + self._pause_s
        return True

    def succeeded(self) -> bool:
        """Note an answer; True if it is the first after a failure."""
        closes, self._open = self._open, False
        return closes

    def failed(self, now: float) -> bool:
        """Note that no answer came; True if it is the first failure after an answer."""
        opens = not self._open
        self._open = True
        self._retry_at = now + (self._first_pause_s if opens else self._pause_s)
        return opens
