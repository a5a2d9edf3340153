"""Starts the server with every limit spelled out, and ends it without cutting a stream.

On SIGTERM the workers are first told that they are draining, so that `/ready` says 503 while new
connections are still answered; after the time that load balancers need to notice, the server
stops listening and waits for the running streams, up to the drain timeout. A second signal ends
it within seconds.

A worker that dies (killed, out of memory, ended by its watchdog) is replaced at once; the others go
on. If the new one dies within 5.5 s as well, something is wrong that another start won't mend: the
server drains the others and ends with status 1, and whoever supervises it has to look.
"""

import asyncio
import logging
import os
import resource
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

from app.settings import Settings

DRAIN_SIGNAL: Final = signal.SIGUSR1
"""Tells a worker that it is draining. The workers import the gateway, this process never does.

It is held back in a worker that has just begun, until that one can hear it: see `hear_drain`."""
ROUTING_DWELL_S: Final = 5.0
"""Between not being ready and not listening: load balancers look every few seconds."""
HASTE_S: Final = 5
"""What a second signal leaves to running streams."""
BACKLOG: Final = 4_096
CONNECTIONS_MAX: Final = 16_384
HEADER_TIMEOUT_MS: Final = 60_000
"""Also the keep-alive idle timeout: load balancers must let go earlier, at 50 s."""
HEADER_BUFFER_BYTES: Final = 65_536
DESCRIPTORS_MIN: Final = 1_024

logger = logging.getLogger(__name__)


class Server(MPServer):
    """Granian with a drain before its end."""

    _signals = 0

    def signal_handler_interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Drain at the first signal, hurry at the second."""
        del frame
        if os.getpid() != self.pid:
            # A worker that has just been forked still has this handler, and nothing to drain.
            os._exit(0)
        self._signals += 1
        if self._signals > 1:
            threading.Thread(target=self._hurry, daemon=True).start()
            return
        self._tell_workers(DRAIN_SIGNAL)
        dwell_s = ROUTING_DWELL_S if signum == signal.SIGTERM else 0.0
        threading.Timer(dwell_s, self._stop).start()

    def _respawn_workers(self, *args: Any, **kwargs: Any) -> None:
        """Replace workers that have died, unless all are about to end."""
        if not self._signals:
            super()._respawn_workers(*args, **kwargs)

    def _stop_workers(self) -> None:
        """End all workers; also those that were not told yet that they drain."""
        self._tell_workers(DRAIN_SIGNAL)
        super()._stop_workers()  # type: ignore[no-untyped-call]  # Granian gives it no types

    def _stop(self) -> None:
        self.interrupt_signal = True
        self.main_loop_interrupt.set()

    def _hurry(self) -> None:
        self._stop()
        threading.Event().wait(HASTE_S)
        self._tell_workers(signal.SIGKILL)

    def _tell_workers(self, signum: signal.Signals) -> None:
        for worker in list(self.wrks):
            pid = worker.inner.pid
            if pid is not None and worker.inner.is_alive():
                os.kill(pid, signum)


def serve(settings: Settings) -> int:
    """Serve until told to stop; returns the exit status."""
    raise_descriptor_limit()
    hold_drain()
    options: dict[str, Any] = {}
    if settings.tls_cert and settings.tls_key:
        options = {"ssl_cert": settings.tls_cert, "ssl_key": settings.tls_key}
    server = Server(
        target="app.asgi:application",
        address=settings.bind,
        port=settings.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        loop=Loops.uvloop,
        workers=settings.workers,
        # One I/O thread is enough for one event loop, and an event costs 3 % less on it.
        runtime_mode=RuntimeModes.st,
        backlog=BACKLOG,
        backpressure=CONNECTIONS_MAX,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=HEADER_BUFFER_BYTES
        ),
        respawn_failed_workers=True,
        # To Granian 0 is no limit at all.
        workers_kill_timeout=max(1, settings.drain_timeout_s),
        log_level=LogLevels.warning,
        **options,
    )
    server.serve()
    return 0


def hold_drain() -> None:
    """Hold the drain signal back in this process and in the workers that it will start.

    A worker that were told to drain before it has a handler would die of it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {DRAIN_SIGNAL})


def hear_drain(drain: Callable[[], None]) -> None:
    """Call `drain` in this worker's running loop when it is told to drain, or was told already."""
    asyncio.get_running_loop().add_signal_handler(DRAIN_SIGNAL, drain)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {DRAIN_SIGNAL})


def raise_descriptor_limit() -> None:
    """Use as many descriptors as the machine allows: each stream takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS_MIN:
        logger.warning("only %d descriptors: at most %d streams at a time", hard, hard // 2)
