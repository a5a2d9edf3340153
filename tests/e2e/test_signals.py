"""SIGTERM and Ctrl-C in every phase of a life, and a worker whose loop stands still.

What they do to streams is in `test_drain`; here it is about processes: each ends, in time and
cleanly, whatever it was doing, and leaves nobody behind.
"""

import fcntl
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.asking import prompt, question
from tests.e2e.programs import Gateway, Pair, Simulator, until
from tests.e2e.test_overload import workers

STALL = signal.SIGTTOU
"""As in `tests.e2e.launch`, which is never imported: it changes the process that it is in."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are looked up in /proc"),
]

END_S = 60.0
"""A start on a busy machine takes a while, and is finished before it ends."""
REPLACED_S = 20.0
"""After the time for which a loop may stand still, on a machine that is busy."""


@pytest.fixture
def unstarted(tmp_path):
    """A gateway that is not running yet, on data that has never been used."""
    simulator = Simulator(tmp_path)
    gateway = Gateway(tmp_path, simulator, CODEX_DRAIN_TIMEOUT="600")
    yield gateway
    gateway.stop()
    simulator.stop()


def forked(gateway: Gateway) -> bool:
    """Tell whether a worker has begun."""
    return bool(workers(gateway))


def opening(gateway: Gateway) -> bool:
    """Tell whether the store is being opened."""
    return Path(gateway.environment["CODEX_DATA_DIR"], "codex2api.db").exists()


def serving(gateway: Gateway) -> bool:
    """Tell whether it is ready."""
    return gateway._ready()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("phase", [forked, opening, serving])
def test_a_signal_ends_it_in_every_phase(unstarted, phase, number):
    """With status 0, without a traceback, and no process is left."""
    unstarted.spawn("-m", "app", "serve", env=unstarted.environment)
    until(lambda: phase(unstarted), f"it is {phase.__name__}", within_s=END_S)
    family = workers(unstarted)
    unstarted.signal(number)
    assert unstarted.wait(within_s=END_S) == 0
    assert "Traceback" not in unstarted.printed()
    assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]


def _held(path: Path) -> int:
    """Hold the lock of a start, as another process does that migrates the same database."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


@pytest.fixture
def migrating(unstarted):
    """A gateway that waits in its migration for another one, and what lets it go on."""
    data = Path(unstarted.environment["CODEX_DATA_DIR"])
    data.mkdir(mode=0o700)
    lock = data / "codex2api.db.lock"
    descriptor = _held(lock)
    unstarted.spawn("-m", "app", "serve", env=unstarted.environment)
    until(lambda: _waits(unstarted, lock), "it waits for the lock", within_s=END_S)
    return unstarted, lambda: os.close(descriptor)


def _waits(gateway: Gateway, lock: Path) -> bool:
    """Tell whether a worker has the lock's file open."""
    for pid in workers(gateway):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            if link.exists() and link.resolve() == lock:
                return True
    return False


def test_a_migration_is_finished_before_the_end(migrating):
    """SIGTERM in the middle of one leaves no half of it: the next start finds it whole."""
    gateway, go_on = migrating
    gateway.signal(signal.SIGTERM)
    go_on()
    assert gateway.wait(within_s=END_S) == 0
    gateway.start()
    gateway.signal(signal.SIGINT)
    assert gateway.wait(within_s=END_S) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_migration_that_waits(migrating, number):
    """Nobody has to wait for the other one's lock."""
    gateway, go_on = migrating
    gateway.signal(number)
    try:
        # Two that come close together may count as one.
        until(lambda: gateway.process.poll() is not None or gateway.signal(number),
              "it has ended", within_s=END_S)  # fmt: skip
    finally:
        go_on()


def test_a_loop_that_stands_still_is_replaced(start):
    """Its stacks are on stderr, another worker serves, and the server lives on."""
    pair: Pair = start(limits={"loop_stall_s": 2.0})
    gateway = pair.gateway
    [stuck] = workers(gateway)
    os.kill(stuck, STALL)
    until(lambda: stuck not in workers(gateway), "the stuck worker has ended", within_s=REPLACED_S)
    until(_answering(gateway), "another one serves", within_s=REPLACED_S)
    said = gateway.printed()
    assert "The event loop has stood still" in said
    assert "_stand_still" in said
    answer = gateway.client.post("/v1/responses", json=question(prompt(private_events=False)))
    assert "event: response.completed" in answer.text


def _answering(gateway: Gateway) -> Callable[[], bool]:
    return lambda: bool(workers(gateway)) and serving(gateway)
