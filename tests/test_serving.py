"""The server drains before it stops, and hurries when told twice."""

import logging
import resource
import signal
import threading

import pytest

from app import serving
from app.serving import DRAIN_SIGNAL, Server, raise_descriptor_limit, serve
from app.settings import Settings


class Inner:
    """A worker's process."""

    def __init__(self, pid, *, alive: bool = True) -> None:
        self.pid = pid
        self._alive = alive

    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._alive


class Worker:
    """What the server keeps of a worker."""

    def __init__(self, inner: Inner) -> None:
        self.inner = inner


@pytest.fixture
def told(monkeypatch):
    """The signals that were sent to workers; nothing is waited for."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(serving.os, "kill", lambda pid, signum: sent.append((pid, signum)))
    monkeypatch.setattr(serving, "ROUTING_DWELL_S", 0.01)
    monkeypatch.setattr(serving, "HASTE_S", 0.01)
    return sent


@pytest.fixture
def server():
    """A server with one worker that runs, one that has ended and one that has not begun."""
    made = Server.__new__(Server)
    made.wrks = [Worker(Inner(7)), Worker(Inner(8, alive=False)), Worker(Inner(None))]
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
    assert (7, signal.SIGKILL) in told


def test_the_server_is_given_every_limit(monkeypatch):
    """And TLS only where it was configured."""
    given: list[dict] = []

    class Recorder:
        def __init__(self, **options) -> None:
            given.append(options)

        def serve(self) -> None:
            pass

    monkeypatch.setattr(serving, "Server", Recorder)
    monkeypatch.setattr(serving, "raise_descriptor_limit", lambda: None)
    plain = Settings.from_env({"CODEX_ENCRYPTION_KEY": "x" * 32})
    assert serve(plain) == 0
    assert given[0]["target"] == "app.asgi:application"
    assert given[0]["backlog"] == serving.BACKLOG
    assert "ssl_cert" not in given[0]


@pytest.mark.parametrize(
    ("limits", "raised", "warned"),
    [((100, 4_096), True, False), ((4_096, 4_096), False, False), ((512, 512), False, True)],
)
def test_descriptors_are_raised_to_what_the_machine_allows(
    monkeypatch, caplog, limits, raised, warned
):
    """And a machine that allows few is complained about."""
    set_to = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: set_to.append(new))
    with caplog.at_level(logging.WARNING, "app.serving"):
        raise_descriptor_limit()
    assert set_to == ([(limits[1], limits[1])] if raised else [])
    assert bool(caplog.records) is warned
