"""A loop that stands still ends its process, and one that is only stopped does not."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from app.telemetry.watchdog import STALLED, TICK_S, Silence, Watchdog

ROOT = Path(__file__).parents[2]
STALL_S = 2.5
PROGRAM = f"""
import asyncio, sys, time
from app.telemetry.heartbeat import Heartbeat
from app.telemetry.watchdog import Watchdog, end_process


def held_up():
    time.sleep(600)


async def main():
    heartbeat = Heartbeat()
    Watchdog(
        beats=lambda: heartbeat.beats, monotonic=time.monotonic, stall_s={STALL_S}, end=end_process
    ).start()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(heartbeat.run())
        while not heartbeat.beats:
            await asyncio.sleep(0.01)
        print("beats", flush=True)
        if await asyncio.to_thread(sys.stdin.readline) == "stall\\n":
            held_up()
        before = heartbeat.beats
        while heartbeat.beats < before + 3:
            await asyncio.sleep(0.01)
        print("lives", flush=True)
        running.cancel()


asyncio.run(main())
"""


@pytest.fixture
def program():
    """A process with a loop, a heart and a watchdog; `stall` makes the loop stand still."""
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    with child:
        assert child.stdout.readline() == "beats\n", child.stderr.read()
        yield child
        child.kill()


def listen(*moments: tuple[int, float]) -> list[float]:
    """Return the silences that somebody hears who looks at these moments: beats and time."""
    silence = Silence()
    return [round(silence.listen(beats, now), 6) for beats, now in moments]


def test_a_heart_that_beats_is_not_silent():
    """However slowly the time of the looks goes by."""
    assert listen((1, 0.0), (2, 0.5), (3, 9.0), (4, 9.1)) == [0, 0, 0, 0]


def test_silence_is_added_up_look_by_look_until_the_next_beat():
    """Then it begins anew."""
    looks = [(1, 0.0), (1, 0.5), (1, 1.0), (1, 1.4), (2, 1.9), (2, 2.4)]
    assert listen(*looks) == [0, 0.5, 1.0, 1.4, 0, 0.5]


def test_time_in_which_nobody_could_look_is_no_silence():
    """The process was stopped or starved: a look counts for two ticks at most."""
    assert listen((1, 0.0), (1, 0.5), (1, 3_600.0), (1, 3_600.5)) == [
        0,
        0.5,
        0.5 + 2 * TICK_S,
        1.0 + 2 * TICK_S,
    ]


def test_before_the_first_beat_nothing_counts():
    """A start takes the time it takes; nor does a clock that goes back count."""
    assert listen((0, 0.0), (0, 0.5), (0, 1.0), (1, 1.5), (1, 2.0)) == [0, 0, 0, 0, 0.5]
    assert listen((1, 5.0), (1, 4.0)) == [0, 0]


def test_one_that_was_stopped_ends_nobody():
    """The loop may stand still while a gateway is closed."""
    ended: list[float] = []
    watchdog = Watchdog(
        beats=lambda: 1, monotonic=time.monotonic, stall_s=3_600.0, end=ended.append
    )
    watchdog.start()
    watchdog.stop()
    assert ended == []
    assert not [each for each in threading.enumerate() if each.name == "watchdog"]


async def test_it_ends_once():
    """And then it watches no more."""
    ended: asyncio.Queue[float] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    now = iter(range(1_000))

    def end(silent_s: float) -> None:
        loop.call_soon_threadsafe(ended.put_nowait, silent_s)

    watchdog = Watchdog(beats=lambda: 1, monotonic=lambda: next(now), stall_s=1.0, end=end)
    watchdog.start()
    assert await ended.get() == 1.0
    watchdog.stop()
    assert ended.empty()


def test_a_loop_that_stands_still_ends_its_process(program):
    """With what every thread was doing, so that somebody can find out why."""
    program.stdin.write("stall\n")
    assert program.wait() == STALLED
    said = program.stderr.read()
    assert "The event loop has stood still for " in said
    assert "in held_up" in said


@pytest.mark.skipif(sys.platform != "linux", reason="pipes have no paths here")
def test_it_ends_even_if_nobody_reads_what_it_says(program):
    """A full pipe waits for its reader; the worker does not."""
    # The pipe is filled from here: what the program writes then has no room left.
    descriptor = program.stderr.fileno()
    writing = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while os.write(writing, bytes(4_096)):
            continue
    program.stdin.write("stall\n")
    assert program.wait() == STALLED
    os.close(writing)


def test_a_process_that_is_stopped_for_long_lives_on(program):
    """SIGSTOP holds up the watchdog as well, and is no fault of the loop."""
    program.send_signal(signal.SIGSTOP)
    time.sleep(STALL_S + 1.0)
    program.send_signal(signal.SIGCONT)
    program.stdin.write("go on\n")
    assert program.stdout.readline() == "lives\n", program.stderr.read()
    assert program.wait() == 0
