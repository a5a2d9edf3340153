"""The fault matrix is whole, its tests exist, and the page is what it says."""

import ast
from pathlib import Path

import pytest

from scripts.faults import PAGE, Row, chosen, judged, matrix, render, results_of

ROOT = Path(__file__).parents[2]
PARTS = matrix()
ROWS = [row for part in PARTS for row in part.row]
IDS = [
    *(f"U{n}" for n in range(1, 24)),
    *(f"C{n}" for n in range(1, 18)),
    *(f"R{n}" for n in range(1, 5)),
    *(f"P{n}" for n in range(1, 6)),
    *(f"S{n}" for n in range(1, 4)),
    *(f"W{n}" for n in range(1, 14)),
    *(f"S-{letter}" for letter in "ABCD"),
]


def test_every_fault_has_a_row():
    """Each once, in its order."""
    assert [row.id for row in ROWS] == IDS


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_a_row_names_tests_that_exist(row: Row):
    """By their names in their files; a whole file is named where all of it is meant."""
    assert row.tests
    for test in row.tests:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        names = {node.name for node in tree.body if isinstance(node, kinds)}
        assert not name or name in names, test


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_a_row_fits_a_table(row: Row):
    """A bar would end its cell."""
    assert not any("|" in cell or "\n" in cell for cell in (row.fault, row.caller, row.operator))


def test_the_page_is_what_the_matrix_renders():
    """`make faults` writes it; nothing that it shows of the last run has failed."""
    page = PAGE.read_text("utf-8")
    results = results_of(page)
    assert page == render(PARTS, results)
    assert {results[each] for each in IDS} <= {"held", "skipped", "not run"}


def test_results_are_read_off_a_report(tmp_path):
    """The worst of a row's tests counts; one that was not run is no good sign."""
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="tests.a" name="test_x[1]"/>'
        '<testcase classname="tests.a" name="test_x[2]"><failure/></testcase>'
        '<testcase classname="tests.a" name="test_y"/>'
        '<testcase classname="tests.a" name="test_z"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    tests = {"1": ["tests/a.py::test_y", "tests/a.py::test_x"], "2": ["tests/a.py::test_y"],
             "3": ["tests/a.py::test_z"], "4": ["tests/b.py::test_x"],
             "5": ["tests/a.py::test_y", "tests/a.py::test_z"], "6": ["tests/a.py"]}  # fmt: skip
    part = type(PARTS[0])("all", [Row(each, "", "", "", tests[each]) for each in tests])
    assert judged([part], report) == {
        "1": "FAILED", "2": "held", "3": "skipped", "4": "not run", "5": "held", "6": "FAILED",
    }  # fmt: skip


def test_rows_are_chosen_by_id_or_by_how_it_begins():
    """A whole number is meant as it is."""
    assert [row.id for row in ROWS if chosen(row, "U1,S-")] == ["U1", "S-A", "S-B", "S-C", "S-D"]
    assert len([row for row in ROWS if chosen(row, "")]) == len(ROWS)
