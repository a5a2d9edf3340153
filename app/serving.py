"""Starts the server with every limit spelled out, and ends it without cutting a stream.

On SIGTERM the workers are first told to withdraw: `/ready` says 503 while calls are answered as
before. After the time that load balancers need to notice they drain: new calls are refused, and the
server waits for the running streams, up to the drain timeout; what still runs shortly before ends
with an error that says so. A second signal ends it within seconds.

Granian waits for HTTP, but cuts WebSockets the moment it is told to stop, without a word. So the
workers are told to end themselves, which each does once its WebSockets are closed: idle ones at the
beginning of the drain, busy ones after their turn, all of them shortly before the drain's end.
Until then its listener stays open, and whoever comes is refused with a word.

A worker that dies (killed, out of memory, ended by its watchdog) is replaced at once; the others go
on. If the new one dies within 5.5 s as well, something is wrong that another start won't mend: the
server drains the others and ends with status 1, and whoever supervises it has to look.
"""

import asyncio
import gc
import importlib
import logging
import os
import resource
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Protocol

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer
from granian.server.embed import Server as EmbeddedServer

from app.clock import SystemClock
from app.errors import StateError
from app.preflight import preflight
from app.settings import Settings

if TYPE_CHECKING:
    # By itself the supervising process does not need the framework.
    from litestar.types import ASGIApp

TARGET: Final = "app.asgi:application"
DRAIN_SIGNAL: Final = signal.SIGUSR1
"""Tells a worker to withdraw. It is held back in a worker that has just begun, until that one can
hear it: see `hear_drain`."""
END_SIGNAL: Final = signal.SIGUSR2
"""Tells a worker to drain, and end itself once its WebSockets are closed; again: to hurry."""
HASTE_S: Final = 4
"""What a second signal leaves to whoever has something to say still."""
HASTE_STEP_S: Final = 0.5
"""Signals that come close together may count as one, so haste is told again and again."""
LAST_WORDS_S: Final = 5.0
"""Of the drain timeout, what is left for telling those that still run, and for ending."""
FAREWELL_S: Final = 1.0
"""Whoever takes no byte for so long takes no farewell either."""
SUPERVISOR_LOOK_S: Final = 1.0
"""How often a worker looks whether its supervisor is still there."""
BACKLOG: Final = 4_096
CONNECTIONS_MAX: Final = 16_384
HEADER_TIMEOUT_MS: Final = 60_000
"""Also the keep-alive idle timeout: load balancers must let go earlier, at 50 s."""
HEADER_BUFFER_BYTES: Final = 65_536
DESCRIPTORS_KEPT: Final = 96
"""For files, the database, Redis and what else is no connection of a caller's."""

logger = logging.getLogger(__name__)


class Server(MPServer):
    """Granian with a drain before its end."""

    dwell_s = 0.0
    """Between withdrawing and draining, after SIGTERM."""
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
        dwell_s = self.dwell_s if signum == signal.SIGTERM else 0.0
        timer = threading.Timer(dwell_s, self._stop)
        # After a second signal nothing waits for it.
        timer.daemon = True
        timer.start()

    def _respawn_workers(self, *args: Any, **kwargs: Any) -> None:
        """Replace workers that have died, unless all are about to end."""
        if not self._signals:
            super()._respawn_workers(*args, **kwargs)

    def _stop_workers(self) -> None:
        """End all workers; also those that were not told yet to withdraw."""
        self._tell_workers(DRAIN_SIGNAL)
        for worker in self.wrks:
            worker.interrupt_by_parent = True
        self._tell_workers(END_SIGNAL)
        clock = SystemClock()
        ends_at = clock.monotonic() + (self.workers_kill_timeout or 0)
        for worker in self.wrks:
            worker.inner.join(max(0.0, ends_at - clock.monotonic()))
        # Whoever is still there has had all the time there is.
        self.workers_kill_timeout = 1
        super()._stop_workers()  # type: ignore[no-untyped-call]  # Granian gives it no types

    def _stop(self) -> None:
        self.interrupt_signal = True
        self.main_loop_interrupt.set()

    def _hurry(self) -> None:
        self._stop()
        for _ in range(int(HASTE_S / HASTE_STEP_S)):
            self._tell_workers(END_SIGNAL)
            threading.Event().wait(HASTE_STEP_S)
        self._tell_workers(signal.SIGKILL)

    def _tell_workers(self, signum: signal.Signals) -> None:
        for worker in list(self.wrks):
            pid = worker.inner.pid
            if pid is not None and worker.inner.is_alive():
                os.kill(pid, signum)


def serve(settings: Settings) -> int:
    """Serve until told to stop; returns the exit status.

    Raises:
        StateError: This machine is not ready for it, see `app.preflight`.
    """
    descriptors = raise_descriptor_limit()
    for warning in preflight(settings, now=SystemClock().now()):
        logger.warning("%s", warning)
    if settings.workers > 1:
        preload()
    hold_drain()
    options: dict[str, Any] = {}
    if settings.tls_cert and settings.tls_key:
        options = {"ssl_cert": settings.tls_cert, "ssl_key": settings.tls_key}
    server = Server(
        target=TARGET,
        address=settings.bind,
        port=settings.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        loop=Loops.uvloop,
        workers=settings.workers,
        # One I/O thread is enough for one event loop, and an event costs 3 % less on it.
        runtime_mode=RuntimeModes.st,
        backlog=BACKLOG,
        backpressure=connections_max(descriptors),
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=HEADER_BUFFER_BYTES
        ),
        respawn_failed_workers=True,
        # To Granian 0 is no limit at all.
        workers_kill_timeout=max(1, settings.drain_timeout_s),
        log_level=LogLevels.warning,
        **options,
    )
    server.dwell_s = settings.limits.routing_dwell_s
    server.serve()
    return 0


def preload() -> None:
    """Import what workers run before they are forked.

    Several workers share its memory then, and each begins a second of CPU sooner, which counts when
    one has died under load. Nothing is opened and no thread begins. A single worker would only take
    the memory twice.
    """
    importlib.import_module(TARGET.partition(":")[0])
    gc.freeze()  # what is never looked at stays shared


@asynccontextmanager
async def listening(
    app: "ASGIApp", settings: Settings, *, at: tuple[str, int]
) -> AsyncIterator[None]:
    """Serve `app` in this process's running loop at an address of its own, for the block.

    Several workers may listen at the same address; the system gives each connection to one. At
    the end running requests get a few seconds.

    Raises:
        StateError: The address can't be had.
    """
    address, port = at
    options: dict[str, Any] = {}
    if settings.tls_cert and settings.tls_key:
        options = {"ssl_cert": settings.tls_cert, "ssl_key": settings.tls_key}
    server = EmbeddedServer(
        target=app,
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=HEADER_BUFFER_BYTES
        ),
        log_level=LogLevels.error,
        **options,
    )
    server.workers_kill_timeout = HASTE_S
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(_served(server, f"{address}:{port}"))
        try:
            # It binds in its first step; what goes wrong with it is known then.
            await asyncio.sleep(0)
            if not serving.done():
                yield
        finally:
            server.stop()  # type: ignore[no-untyped-call]  # Granian gives it no types


async def _served(server: EmbeddedServer, name: str) -> None:
    try:
        await server.serve()
    except (OSError, RuntimeError) as error:
        raise StateError(f"Nothing can listen at {name} (CODEX_ADMIN_BIND): {error}.") from error


def hold_drain() -> None:
    """Hold the drain's signals back in this process and in the workers that it will start.

    A worker that were told to drain before it has a handler would die of it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {DRAIN_SIGNAL, END_SIGNAL})


def hear_drain(withdraw: Callable[[], None], end: Callable[[], None]) -> None:
    """Call these in this worker's running loop when it is told to, or was already."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(DRAIN_SIGNAL, withdraw)
    loop.add_signal_handler(END_SIGNAL, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {DRAIN_SIGNAL, END_SIGNAL})


class Closing(Protocol):
    """What a worker does for its callers, and can end."""

    def drain(self) -> None:
        """Take no new calls, and end WebSockets between two turns."""

    def hurry(self) -> None:
        """End everything now, with a word."""

    def when_none(self, then: Callable[[], None]) -> None:
        """Call `then` once there is no WebSocket."""


class Ending:
    """Ends this worker once its WebSockets are closed; called again, it ends everything at once."""

    def __init__(
        self, closing: Closing, *, drain_timeout_s: float, stop: Callable[[], None]
    ) -> None:
        """Take what tells the server of this worker to stop."""
        self._closing = closing
        self._patience_s = max(drain_timeout_s - LAST_WORDS_S, drain_timeout_s / 2)
        self._stop = stop
        self._begun = False
        self._stopped = False

    def __call__(self) -> None:
        """Take the signal."""
        if self._begun:
            self._hurry()
            return
        self._begun = True
        self._closing.drain()
        asyncio.get_running_loop().call_later(self._patience_s, self._hurry)
        self._closing.when_none(self._stop_once)

    def _hurry(self) -> None:
        self._closing.hurry()
        asyncio.get_running_loop().call_later(FAREWELL_S, self._stop_once)

    def _stop_once(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._stop()


@asynccontextmanager
async def accompanied(end: Callable[[], None]) -> AsyncIterator[None]:
    """For the block, call `end` should the process that has started this worker be gone.

    A worker without it would serve on for ever: nobody could drain it, and who starts the gateway
    anew would share the port with it.
    """
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(_outlive(os.getppid(), end))
        try:
            yield
        finally:
            looking.cancel()


async def _outlive(supervisor: int, end: Callable[[], None]) -> None:
    while os.getppid() == supervisor:  # noqa: ASYNC110 - nobody tells of a parent's end
        await asyncio.sleep(SUPERVISOR_LOOK_S)
    logger.error("the supervising process is gone; this worker ends")
    end()


def stop_worker() -> None:
    """Tell the server of this worker to stop: it lets HTTP streams end."""
    os.kill(os.getpid(), signal.SIGTERM)


def connections_max(descriptors: int) -> int:
    """Return how many connections a worker may accept; the others wait until some have ended.

    A stream takes two descriptors. A server that has none left would go on accepting in vain, and
    burn a core with it.
    """
    return min(CONNECTIONS_MAX, max(1, (descriptors - DESCRIPTORS_KEPT) // 2))


def raise_descriptor_limit() -> int:
    """Use as many descriptors as the machine allows, and return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 2 * CONNECTIONS_MAX + DESCRIPTORS_KEPT if hard == resource.RLIM_INFINITY else hard
