"""Tests of app.clock."""

import time

import pytest

from app.clock import HOLD_S, SLEW, STEP_S, SystemClock

HOUR = 3_600.0
BORN = 1_800_000_000.0


class Machine:
    """Clocks that a test sets: `wrong_s` is by how much the wall clock is off."""

    def __init__(self) -> None:
        self.passed_s = 0.0
        self.wrong_s = 0.0
        self.clock = SystemClock(wall=self.wall, steady=lambda: 77.0 + self.passed_s)

    def wall(self) -> float:
        """Return what the wall clock shows."""
        return BORN + self.passed_s + self.wrong_s

    @property
    def off_s(self) -> float:
        """How far `now` is from the truth."""
        return self.clock.now() - BORN - self.passed_s

    def live(self, seconds: int, *, wrong_s: float, beat_s: float = 1.0) -> list[float]:
        """Let time pass with a wall clock that is off by `wrong_s`; return the steps taken."""
        self.wrong_s = wrong_s
        steps = []
        for _ in range(int(seconds / beat_s)):
            self.passed_s += beat_s
            steps.append(self.clock.correct())
        return [step for step in steps if step]


def test_the_clock_is_the_machines() -> None:
    """Both kinds of time are the ones that the operating system tells."""
    before, before_monotonic = time.time(), time.monotonic()
    clock = SystemClock()
    assert before <= clock.now() <= time.time()
    assert before_monotonic <= clock.monotonic() <= time.monotonic()
    assert clock.correct() == 0.0
    assert clock.now() == pytest.approx(time.time(), abs=1.0)


@pytest.mark.parametrize(
    ("script", "steps", "off_s"),
    [
        pytest.param([(300, 0.0)], [], 0.0, id="right"),
        pytest.param([(60, HOUR), (300, 0.0)], [], 0.0, id="forward-for-a-moment"),
        pytest.param([(60, -HOUR), (300, 0.0)], [], 0.0, id="back-for-a-moment"),
        pytest.param([(61, HOUR)], [HOUR], HOUR, id="set-forward"),
        pytest.param([(61, -HOUR)], [-HOUR], -HOUR, id="set-back"),
        pytest.param([(61, 3e9)], [3e9], 3e9, id="set-forward-by-a-century"),
        pytest.param([(61, HOUR), (61, 0.0)], [HOUR, -HOUR], 0.0, id="wrong-for-long"),
        pytest.param([(50, HOUR), (1, 0.0), (50, HOUR)], [], 0.0, id="wrong-again-and-again"),
        pytest.param([(50, HOUR), (50, 2 * HOUR), (50, HOUR)], [], 0.0, id="jumping-about"),
        pytest.param([(50, HOUR), (50, HOUR + 0.9)], [HOUR + 0.9], HOUR + 0.9, id="about-the-same"),
        pytest.param([(n % 2 + 1, n * 59.0) for n in range(1, 99)], [], 0.0, id="too-fast"),
        pytest.param([(100, 3.0)], [], 1.0, id="drift-forward"),
        pytest.param([(100, -3.0)], [], -1.0, id="drift-back"),
        pytest.param([(400, STEP_S - 0.001)], [], 4.0, id="the-most-that-is-drift"),
        pytest.param([(900, STEP_S - 0.001)], [], STEP_S - 0.001, id="drift-that-is-closed"),
        pytest.param([(40, HOUR), (100, 2.0), (40, HOUR)], [], 1.0, id="drift-between"),
        pytest.param([(61, STEP_S + 0.1)], [STEP_S + 0.1], STEP_S + 0.1, id="the-least-step"),
    ],
)
def test_a_clock_that_is_set_is_followed_once_it_lasts(script, steps, off_s) -> None:
    """What is wrong for a moment is not believed, drift is closed bit by bit, the rest a step."""
    machine = Machine()
    taken = [step for each in script for step in machine.live(each[0], wrong_s=each[1])]
    assert taken == pytest.approx(steps)
    assert machine.off_s == pytest.approx(off_s, abs=1e-4)


@pytest.mark.parametrize("wrong_s", [HOUR, -HOUR])
def test_nobody_is_asked_before_a_reset_because_of_a_moment(wrong_s) -> None:
    """A rest of ten minutes lasts ten minutes, while the wall clock is wrong and after."""
    machine = Machine()
    reset_at = machine.clock.now() + 600
    for wrong_for_s in (55, 5, 59, 1):
        machine.live(wrong_for_s, wrong_s=wrong_s)
        assert machine.clock.now() < reset_at
        machine.live(60, wrong_s=0.0)
    machine.live(600 - 360 - 1, wrong_s=0.0)
    assert machine.clock.now() < reset_at
    machine.live(1, wrong_s=0.0)
    assert machine.clock.now() == pytest.approx(reset_at)


def test_time_in_which_nobody_looked_does_not_count() -> None:
    """Two looks that are minutes apart do not show that the wall clock was wrong all the time."""
    machine = Machine()
    assert machine.live(1_200, wrong_s=HOUR, beat_s=120.0) == []
    assert machine.live(int(HOLD_S), wrong_s=HOUR) == [HOUR]


def test_a_machine_that_slept_is_at_once_where_it_should_be() -> None:
    """The steady clock counts sleep, so nothing has to be corrected."""
    machine = Machine()
    machine.passed_s += 8 * HOUR
    assert machine.off_s == pytest.approx(0.0, abs=1e-4)
    assert machine.live(120, wrong_s=0.0) == []


def test_drift_is_closed_as_fast_at_any_beat() -> None:
    """How often somebody looks does not change the rate, up to the longest beat that counts."""
    for beat_s in (0.5, 1.0, 2.0):
        machine = Machine()
        machine.live(100, wrong_s=2.0, beat_s=beat_s)
        assert machine.off_s == pytest.approx(100 * SLEW, abs=1e-4)


def test_a_step_is_logged_once(caplog) -> None:
    """An operator finds out why rests and credentials moved."""
    machine = Machine()
    machine.live(200, wrong_s=-HOUR)
    (record,) = caplog.records
    assert record.message == "the wall clock was set and is followed now"
    assert record.step_s == -HOUR
