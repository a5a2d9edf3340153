"""An event loop whose time only passes while nobody has anything to do.

Timeouts, timers and sleeps of any length end at once and in their order, so that a test of an
hour takes no time and tells no lies. It has no sockets.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

P = ParamSpec("P")


class _Waitless(selectors.SelectSelector):
    """Takes no time to wait, but says how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("the test waits for something that nobody will do")
            self.passed_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Begins at second 1,000 of its own time."""

    def __init__(self) -> None:
        self._waitless = _Waitless()
        super().__init__(self._waitless)

    def time(self) -> float:
        """Return virtual seconds."""
        return 1_000.0 + self._waitless.passed_s


class LoopClock:
    """The clock of the running virtual loop; satisfies `app.ports.Clock`."""

    EPOCH = 1_800_000_000.0

    def now(self) -> float:
        """Return epoch seconds."""
        return self.EPOCH + self.monotonic()

    def monotonic(self) -> float:
        """Return seconds since the loop began."""
        return asyncio.get_running_loop().time() - 1_000.0


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test in virtual time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
