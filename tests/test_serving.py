"""The server drains before it stops, and hurries when told twice."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from granian.server import MPServer

from app import serving
from app.edge.strain import CALL_DESCRIPTORS
from app.limits import Limits
from app.serving import (
    DRAIN_SIGNAL,
    END_SIGNAL,
    Ending,
    Server,
    raise_descriptor_limit,
    serve,
    stop_worker,
)
from app.settings import Settings


class Inner:
    """A worker's process."""

    def __init__(self, pid, *, alive: bool = True) -> None:
        self.pid = pid
        self._alive = alive

    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._alive

    def join(self, timeout: float) -> None:
        """Wait for nothing."""
        assert timeout >= 0


class Worker:
    """What the server keeps of a worker."""

    def __init__(self, inner: Inner) -> None:
        self.inner = inner


@pytest.fixture
def told(monkeypatch):
    """The signals that were sent to workers; nothing is waited for."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(serving.os, "kill", lambda pid, signum: sent.append((pid, signum)))
    monkeypatch.setattr(serving, "HASTE_S", 0.02)
    monkeypatch.setattr(serving, "HASTE_STEP_S", 0.01)
    return sent


@pytest.fixture
def server():
    """A server with one worker that runs, one that has ended and one that has not begun."""
    made = Server.__new__(Server)
    made.wrks = [Worker(Inner(7)), Worker(Inner(8, alive=False)), Worker(Inner(None))]
    made.pid = os.getpid()
    made.dwell_s = 0.01
    made.workers_kill_timeout = 600
    made.interrupt_signal = False
    made.main_loop_interrupt = threading.Event()
    return made


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_drains_and_then_stops(server, told, signum):
    """Workers that run are told first; the loop is let go of after the dwell."""
    server.signal_handler_interrupt(signum, None)
    assert told == [(7, DRAIN_SIGNAL)]
    assert server.main_loop_interrupt.wait(5)
    assert server.interrupt_signal


def test_the_second_signal_ends_what_still_runs(server, told):
    """Within seconds."""
    server.signal_handler_interrupt(signal.SIGTERM, None)
    before = set(threading.enumerate())
    server.signal_handler_interrupt(signal.SIGTERM, None)
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert server.main_loop_interrupt.wait(5)
    assert told[-2:] == [(7, END_SIGNAL), (7, signal.SIGKILL)]


@pytest.mark.parametrize("draining", [False, True])
def test_a_worker_that_dies_is_replaced_unless_all_are_about_to_end(
    server, told, monkeypatch, draining
):
    """A new one would only be in the way of the end."""
    replaced = []
    monkeypatch.setattr(MPServer, "_respawn_workers", lambda _self, *args: replaced.append(args))
    if draining:
        server.signal_handler_interrupt(signal.SIGTERM, None)
        assert told == [(7, DRAIN_SIGNAL)]
    server._respawn_workers([0], "target", "loader")
    assert replaced == ([] if draining else [([0], "target", "loader")])


def test_whoever_is_stopped_drains(server, told, monkeypatch):
    """Also when a worker crashes again and again, and nobody has sent a signal."""
    monkeypatch.setattr(MPServer, "_stop_workers", lambda _self: told.append("stopped"))
    server._stop_workers()
    assert told == [(7, DRAIN_SIGNAL), (7, END_SIGNAL), "stopped"]
    # Whoever is still there then is not waited for a second time.
    assert server.workers_kill_timeout == 1


def test_a_worker_that_has_just_begun_ends_at_a_signal(server, told, monkeypatch):
    """It is a copy of the server for a moment, and no other worker is its business."""
    ended = []

    def end(status: int) -> None:
        ended.append(status)
        raise SystemExit

    server.pid = os.getpid() + 1
    monkeypatch.setattr(serving.os, "_exit", end)
    with pytest.raises(SystemExit):
        server.signal_handler_interrupt(signal.SIGINT, None)
    assert ended == [0]
    assert told == []


def test_a_drain_that_came_too_early_is_heard_all_the_same():
    """A worker that can't hear it yet does not die of it."""
    program = (
        "import asyncio, os, signal\n"
        "from app.serving import DRAIN_SIGNAL, END_SIGNAL, hear_drain, hold_drain\n"
        "hold_drain()\n"
        "async def main():\n"
        "    os.kill(os.getpid(), DRAIN_SIGNAL)\n"
        "    os.kill(os.getpid(), END_SIGNAL)\n"
        "    told, end = asyncio.Event(), asyncio.Event()\n"
        "    hear_drain(told.set, end.set)\n"
        "    await told.wait()\n"
        "    await end.wait()\n"
        "    told.clear()\n"
        "    os.kill(os.getpid(), DRAIN_SIGNAL)\n"
        "    await told.wait()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


class Sockets:
    """WebSockets that are ended when a test says so."""

    def __init__(self, *, none: bool = False) -> None:
        self.told: list[str] = []
        self.none = none
        self.then: Callable[[], None] | None = None

    def drain(self) -> None:
        """Note it."""
        self.told.append("drain")

    def hurry(self) -> None:
        """Note it."""
        self.told.append("hurry")

    def when_none(self, then: Callable[[], None]) -> None:
        """Keep it, or do it."""
        self.then = then
        if self.none:
            then()


@pytest.fixture
def stops():
    """How often the worker's server was told to stop."""
    return []


async def test_a_worker_without_websockets_stops_at_once(stops):
    """As it did when there were none."""
    sockets = Sockets(none=True)
    Ending(sockets, drain_timeout_s=600.0, stop=lambda: stops.append(1))()
    assert (sockets.told, stops) == (["drain"], [1])


async def test_a_worker_stops_once_its_websockets_are_closed(stops):
    """And only once, whatever else was to come."""
    sockets = Sockets()
    Ending(sockets, drain_timeout_s=600.0, stop=lambda: stops.append(1))()
    assert stops == []
    sockets.then()
    sockets.then()
    assert stops == [1]


@pytest.mark.parametrize("haste", [False, True])
async def test_websockets_are_hurried_before_the_end_or_when_told_again(stops, monkeypatch, haste):
    """And those that can't be closed are not waited for."""
    monkeypatch.setattr(serving, "LAST_WORDS_S", 0.01)
    monkeypatch.setattr(serving, "FAREWELL_S", 0.01)
    stopped = asyncio.Event()
    sockets = Sockets()
    ending = Ending(
        sockets,
        drain_timeout_s=600.0 if haste else 0.02,
        stop=lambda: (stops.append(1), stopped.set()),
    )
    ending()
    if haste:
        ending()
    async with asyncio.timeout(10):
        await stopped.wait()
    assert (sockets.told, stops) == (["drain", "hurry"], [1])


def test_a_worker_tells_itself_to_stop(told):
    """Its server hears what the main process would have said."""
    stop_worker()
    assert told == [(os.getpid(), signal.SIGTERM)]


def test_the_server_is_given_every_limit(monkeypatch, caplog):
    """And TLS only where it was configured."""
    given: list[dict] = []

    class Recorder:
        def __init__(self, **options) -> None:
            given.append(options)

        def serve(self) -> None:
            pass

    monkeypatch.setattr(serving, "Server", Recorder)
    monkeypatch.setattr(serving, "raise_descriptor_limit", lambda: 1_096)
    monkeypatch.setattr(serving, "hold_drain", lambda: None)
    ahead: list[bool] = []
    monkeypatch.setattr(serving, "preload", lambda: ahead.append(True))
    monkeypatch.setattr(serving, "preflight", lambda settings, **_: [f"{settings.port}?"])
    plain = Settings.from_env({"CODEX_ENCRYPTION_KEY": "x" * 32})
    assert serve(plain) == 0
    assert given[0]["target"] == "app.asgi:application"
    assert given[0]["backlog"] == serving.BACKLOG
    assert given[0]["backpressure"] == 500
    assert "ssl_cert" not in given[0]
    assert given[0]["workers"] == 1
    assert given[0]["respawn_failed_workers"] is True
    assert not ahead  # one worker would take the memory twice
    serve(Settings(workers=4, drain_timeout_s=0))
    assert ahead
    assert given[1]["workers"] == 4
    assert given[1]["workers_kill_timeout"] == 1  # Granian takes 0 for no limit
    assert [record.message for record in caplog.records] == ["8080?", "8080?"]


def test_what_is_loaded_ahead_of_a_fork_opens_nothing():
    """A thread or a descriptor would be in the workers as well, and of no use there."""
    look = """if True:
        import os, sys
        from app.serving import preload
        before = set(os.listdir("/proc/self/fd"))
        preload()
        print(len(os.listdir("/proc/self/task")), len(set(os.listdir("/proc/self/fd")) - before))
        print("app.asgi" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", look], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["1", "0", "True"]


@pytest.mark.parametrize(
    ("limits", "raised"), [((100, 4_096), True), ((4_096, 4_096), False), ((512, 512), False)]
)
def test_descriptors_are_raised_to_what_the_machine_allows(monkeypatch, limits, raised):
    """Whether that is enough is looked at before the start."""
    set_to = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: set_to.append(new))
    assert raise_descriptor_limit() == limits[1]
    assert set_to == ([(limits[1], limits[1])] if raised else [])


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [(64, 1), (200, 52), (1_096, 500), (1 << 20, serving.CONNECTIONS_MAX)],
)
def test_connections_leave_descriptors_for_the_rest(descriptors, connections):
    """Two for each stream, and some for files and the database."""
    assert serving.connections_max(descriptors) == connections


def test_calls_are_shed_before_no_more_connections_are_accepted():
    """Else nobody is told, and not even a probe is answered; some twenty are open at the least."""
    descriptors = 220
    calls = (descriptors - Limits().descriptors_spare - 20) // CALL_DESCRIPTORS
    assert calls < serving.connections_max(descriptors)
