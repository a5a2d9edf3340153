"""Starts the programs of a bench, each on its core, and reads from the kernel what they cost.

CPU is user and system time of a whole process tree, from the processes' own clocks, which count
nanoseconds and include threads that have ended. Memory, descriptors and threads come from /proc,
so this part of the bench needs Linux. Cores are given by starting a program while this process
is itself on that core: every thread of the child inherits it.
"""

import os
import random
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, Self

import msgspec

ROOT: Final = Path(__file__).resolve().parents[2]
START_S: Final = 30.0
STOP_S: Final = 10.0
LOG_LINES: Final = 20
PORTS: Final = (20_000, 32_000)
PORTS_TRIED: Final = 100
CPUCLOCK_SCHED: Final = 2
"""The clock of a process that counts the time it was on a core (linux/posix-timers.h)."""


class ProgramFailed(Exception):
    """A program did not start or has ended; the text has its last words."""


class Cores(msgspec.Struct, frozen=True):
    """Who runs where."""

    program: int
    """The gateway or nginx."""
    load: int
    """The loader and the simulator."""

    @property
    def shared(self) -> bool:
        """Whether there is only one core for all, so that CPU times stand but latencies do not."""
        return self.program == self.load


def cores() -> Cores:
    """The first two cores that this process may use, or one twice."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[min(1, len(usable) - 1)])


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Be on that core for a while; what is started meanwhile stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_many_files() -> int:
    """Raise the limit on open files as far as it goes; return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def end_in_order() -> None:
    """Leave all blocks, and so end all programs, also when told to stop by SIGTERM or SIGHUP."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def free_port() -> int:
    """A port of the loopback that nobody has, below those that outgoing connections take."""
    for port in random.sample(range(*PORTS), PORTS_TRIED):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ProgramFailed(f"{PORTS_TRIED} ports between {PORTS[0]} and {PORTS[1]} are all taken")


class Program:
    """A program that runs beside the bench. Leave the block to end it."""

    start_s = START_S
    """How long it may take to be ready."""

    def __init__(
        self, name: str, command: list[str], *, core: int, log: Path, env: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = log
        self.began = time.monotonic()
        with pinned(core), log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise ProgramFailed, with the last lines of its log, if it has ended."""
        status = self._process.poll()
        if status is not None:
            raise ProgramFailed(f"{self.name} ended with status {status}:\n{self._last_words()}")

    def wait_until_listening(self, port: int) -> None:
        """Return once the port takes connections. Raises ProgramFailed after `start_s`."""
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            self.wait_a_little()

    def wait_a_little(self) -> None:
        """Sleep a moment in a wait for the start. Raises ProgramFailed after `start_s`."""
        self.check()
        if self.age_s() > self.start_s:
            words = self._last_words()
            raise ProgramFailed(f"{self.name} was not ready in {self.start_s} s:\n{words}")
        time.sleep(0.005)

    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.began

    def stop(self) -> None:
        """Ask it to end, wait, and kill its process group if that was not enough."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)  # the gateway lingers for routers on SIGTERM
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()

    def cpu_s(self) -> float:
        """CPU seconds of the whole tree so far."""
        return sum(time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED) for pid in self.tree())

    def rss_bytes(self) -> int:
        """Resident memory of the whole tree; shared pages count once for each process."""
        page = os.sysconf("SC_PAGE_SIZE")
        pages = (Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in self.tree())
        return sum(int(count) * page for count in pages)

    def files(self) -> int:
        """Open file descriptors of the whole tree."""
        return sum(1 for pid in self.tree() for _ in Path(f"/proc/{pid}/fd").iterdir())

    def threads(self) -> int:
        """Threads of the whole tree."""
        return sum(1 for pid in self.tree() for _ in Path(f"/proc/{pid}/task").iterdir())

    def tree(self) -> list[int]:
        """The program's process and all its descendants."""
        found = [self.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(FileNotFoundError):  # a thread that has just ended
                    found += map(int, (task / "children").read_text().split())
        return found

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:])
