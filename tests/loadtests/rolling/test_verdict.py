"""What callers noted is judged: what a restart must not do, and what a kill may."""

import pytest

from loadtests.rolling import verdict
from loadtests.rolling.load import Noted
from loadtests.rolling.replicas import GRACE_S, Kill, Restart

KILL = Kill(replica=1, whole=True, at=100.0, back_s=3.0)
WHOLE = {"status": 200, "begun": True, "ended": True, "clean": True}


def noted(**fields) -> Noted:
    """Return a call of one replica that began before the kill and ended just after it."""
    usual = {"request_id": "a", "began_at": 95.0, "ended_at": 100.1, "replica": 1, "status": 200}
    return Noted(**{**usual, **fields})


@pytest.mark.parametrize(
    ("fields", "fine"),
    [
        (WHOLE, True),
        ({"begun": True}, True),
        ({"status": 0, "replica": 0}, True),
        ({"status": 502}, True),
        ({"replica": 2}, False),
        ({"replica": 2, "moved": True, "status": 502}, True),
        ({"ended_at": 99.9}, False),
        ({"ended_at": 110.0}, False),
        ({"began_at": 104.0, "ended_at": 104.1, "status": 0, "replica": 0}, False),
        ({"clean": True}, False),
        ({"ended": True}, True),
    ],
)
def test_only_what_ran_there_may_be_cut_and_visibly(fields, fine):
    """Without the kill, nothing may but what was whole."""
    call = noted(**fields)
    assert (verdict.broken([call], [KILL]) == []) is fine
    assert (verdict.broken([call]) == []) is call.whole
    assert verdict.cut([call]) == (not call.whole)


@pytest.mark.parametrize(
    ("status", "exit_s", "fine"), [(0, 9.0, True), (1, 9.0, False), (0, GRACE_S + 1.0, False)]
)
def test_a_restart_is_clean_and_in_time(status, exit_s, fine):
    """Whoever is not gone by the end of the grace period is killed."""
    restart = Restart(status, exit_s, 3.0)
    assert (verdict.late([restart]) == []) is fine
    [line] = verdict.figures([restart], [])
    assert f"at most {exit_s:.1f} s" in line


def test_who_was_killed_is_soon_back():
    """A worker or a whole process."""
    slow = Kill(replica=1, whole=False, at=1.0, back_s=5.1)
    assert verdict.slow([KILL]) == []
    assert verdict.slow([KILL, slow]) == ["kill 2 (worker): back after 5.1 s"]
    [line] = verdict.figures([], [KILL, slow])
    assert "1 of a worker: back after 5.1 s" in line
    assert "1 of a process: back after 3.0 s" in line
