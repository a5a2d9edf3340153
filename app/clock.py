"""The machine's clock; the only reader of it."""

import time


class SystemClock:
    """Time as the machine tells it; see `app.ports.Clock`."""

    __slots__ = ("monotonic", "now")

    def __init__(self) -> None:
        # The functions themselves, not methods around them: they are called for every event.
        self.now = time.time  # noqa: TID251 - this is the Clock
        self.monotonic = time.monotonic  # noqa: TID251 - this is the Clock
