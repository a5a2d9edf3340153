"""What is made of stretches with and without a fault; and one short run of the real thing."""

import pytest

from loadtests.callers import Seen
from loadtests.outages.__main__ import main
from loadtests.outages.redis import FAULTS, Result, Stretch, lines


def stretch(fault: str, *seconds: float, converged_s: float | None = None) -> Stretch:
    """Return a stretch of calls that took so long."""
    return Stretch(
        fault, [Seen("r", True, seconds=each, ended=True) for each in seconds], converged_s
    )


def test_all_faults_together_are_compared_with_all_stretches_without_one():
    """Each fault is told by itself too, with the worst of its rounds."""
    found = Result(
        [
            stretch("", 1.0),
            stretch("slow", 2.0, converged_s=0.1),
            stretch("", 2.0),
            stretch("slow", 3.0, converged_s=0.4),
        ],
        [],
    )
    assert found.ratio == pytest.approx(1.5)
    told = lines(found)
    assert "no fault" in told[0]
    assert "2 calls, p99 3000 ms (1.50x), sums right 0.40 s after it" in told[1]
    assert "1.50x" in told[-1]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_calls_do_not_notice_what_redis_goes_through(capsys):
    """None fails and all sums agree; how quick they are is measured on a quiet machine."""
    main(["redis", "--seconds", "1", "--rounds", "1"])
    said = capsys.readouterr().out
    assert all(name in said for name in FAULTS)
    assert "status" not in said
    assert "inf s" not in said
