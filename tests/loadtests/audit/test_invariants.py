"""The one checker: every invariant is there, judged or held by tests that exist."""

from pathlib import Path

import pytest

from loadtests.audit.evidence import Evidence
from loadtests.audit.invariants import FAULTS_SHOWN, INVARIANTS, Finding, Invariant, Report, examine
from loadtests.hearing import Seen

ROOT = Path(__file__).parents[3]


def test_all_twenty_are_there():
    """Each once, in their order."""
    assert [each.id for each in INVARIANTS] == [f"I{number}" for number in range(1, 21)]


@pytest.mark.parametrize("invariant", INVARIANTS, ids=[each.id for each in INVARIANTS])
def test_an_invariant_names_tests_that_exist(invariant: Invariant):
    """Also the one that is read off records: a run may have none of those."""
    assert invariant.tests
    assert all((ROOT / test).is_file() for test in invariant.tests)
    assert set(invariant.needs) <= set(Evidence.__struct_fields__)


def test_a_run_with_little_evidence_is_judged_by_it():
    """The rest is said to be held elsewhere, not to hold."""
    report = examine(Evidence(seen=[Seen("a", stream=True, status=200)], ledger=()))
    lines = dict(zip((each.id for each in INVARIANTS), report.lines(), strict=True))
    assert "BROKEN, 1 times" in lines["I1"]
    assert lines["I2"].endswith("holds")
    assert "not read off this run; tests/loadtests/test_crashes.py" in lines["I4"]
    assert "not read off this run" in lines["I16"]
    assert report.faults == ["I1: a (responses, stream, -) had status 200 and no end"]
    assert (report.whole, report.broken) == (0, 0)


def test_a_flood_of_one_does_not_hide_the_others():
    """Of each so many are shown; the lines say how many there are."""
    flood = Finding(INVARIANTS[0], judged=True, faults=["lost"] * 100)
    report = Report([flood, Finding(INVARIANTS[1], judged=True, faults=["late"])], 0, 0)
    assert report.shown == ["I1: lost"] * FAULTS_SHOWN + ["I2: late"]
    assert len(report.faults) == 101
