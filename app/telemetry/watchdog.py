"""Ends a worker whose event loop stands still, so that another one takes its place.

Such a worker still accepts connections and answers none, and nobody but itself can notice. A thread
of its own looks whether the loop's heart has beaten. It counts only time in which it could look
itself: while a process is stopped (SIGSTOP), starved or asleep with its machine, neither of the two
runs, and that is no fault of the loop. Before the first beat nothing is counted.

What it can't see is a stall that also keeps the interpreter's lock, since no thread runs then.
"""

import faulthandler
import os
import threading
from collections.abc import Callable
from typing import Final

TICK_S: Final = 0.5
STALLED: Final = 70
"""The exit status of a worker that has ended itself."""
WORDS_BYTES_MAX: Final = 65_536
WORDS_WAIT_S: Final = 1.0
"""As long as stderr may take: whoever reads it may be as stuck as the loop."""


class Silence:
    """How long nothing has been heard, in seconds in which somebody listened."""

    def __init__(self) -> None:
        self._beats = 0
        self._silent_s = 0.0
        self._listened_at: float | None = None

    def listen(self, beats: int, now: float) -> float:
        """Take note that `beats` were heard so far; return for how long no new one was."""
        passed_s = 0.0 if self._listened_at is None else now - self._listened_at
        self._listened_at = now
        if beats == self._beats and beats > 0:
            self._silent_s += min(max(passed_s, 0.0), 2 * TICK_S)
        else:
            self._beats, self._silent_s = beats, 0.0
        return self._silent_s


class Watchdog:
    """Watches one loop from `start` to `stop`.

    `beats` is how often its heart has beaten and `monotonic` a clock; `end` is called once, in the
    watchdog's thread, with the seconds for which the loop has stood still.
    """

    def __init__(
        self,
        *,
        beats: Callable[[], int],
        monotonic: Callable[[], float],
        stall_s: float,
        end: Callable[[float], None],
    ) -> None:
        self._beats = beats
        self._monotonic = monotonic
        self._stall_s = stall_s
        self._end = end
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more. The loop may stand still from here on."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        silence = Silence()
        while not self._stopped.wait(TICK_S):
            silent_s = silence.listen(self._beats(), self._monotonic())
            if silent_s >= self._stall_s:
                self._end(silent_s)
                return


def end_process(silent_s: float) -> None:
    """Write what every thread is doing to stderr, and end this process with status `STALLED`."""
    words = f"The event loop has stood still for {silent_s:.0f} s; this worker ends.\n"
    teller = threading.Thread(target=_tell, args=(words.encode() + _stacks(),), daemon=True)
    teller.start()
    teller.join(WORDS_WAIT_S)
    os._exit(STALLED)


def _tell(words: bytes) -> None:
    while words:
        words = words[os.write(2, words) :]


def _stacks() -> bytes:
    """Return the stacks of all threads.

    They are not written to stderr at once: that would wait for its reader with the interpreter's
    lock in hand.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    faulthandler.dump_traceback(writing, all_threads=True)
    return os.read(reading, WORDS_BYTES_MAX)
