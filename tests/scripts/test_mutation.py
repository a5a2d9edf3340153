"""The score of a small tree: what its tests notice is killed, what they do not is listed."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
MODULE = '''"""Sums."""


def least(numbers: list[int]) -> int:
    """Return the least of them, which is 0 if there are none."""
    found = 0
    for number in numbers:
        if number < found:
            found = number
    return found


def forever(number: int) -> int:
    """Count to it."""
    while number > 0:
        number -= 1
    return number
'''
TESTS = """from app.sums import forever, least


def test_least():
    assert least([1, -2]) == -2
    assert forever(3) == 0
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree with one module and its tests."""
    for folder in ("app", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "app" / "sums.py").write_text(MODULE)
    (tmp_path / "tests" / "test_sums.py").write_text(TESTS)
    return tmp_path


def score(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program on the tree's module."""
    report = str(tree / "mutation.json")
    return subprocess.run(
        [sys.executable, "-m", "scripts.mutation", "--root", str(tree), "--json", report, *words],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


def test_a_survivor_is_told_with_its_line_and_its_change(tree):
    """A loop without end is killed by the clock; the report has the same in JSON."""
    ended = score(tree, "--sample", "0", "--target", "90", "app/sums.py")
    assert ended.stdout.splitlines() == [
        "app/sums.py: 81.8 % (all mutants)",
        "  app/sums.py:6: 0 → 1",
        "  app/sums.py:8: number < found → number <= found",
        "",
        "9 of 11 mutants killed: 81.8 %",
        "app/sums.py misses 90 %: 81.8 %",
    ]
    assert ended.returncode == 1
    report = orjson.loads((tree / "mutation.json").read_bytes())
    assert report["app/sums.py"] == {
        "percent": 81.82,
        "mutants": 11,
        "tried": 11,
        "slow": 2,
        "survivors": [
            {"line": 6, "change": "0 → 1"},
            {"line": 8, "change": "number < found → number <= found"},
        ],
    }


def test_the_status_is_0_if_the_target_is_met(tree):
    """Also by a sample, which is the same for the same seed."""
    words = ("--sample", "3", "--seed", "5", "--target", "0", "app/sums.py")
    first, second = score(tree, *words), score(tree, *words)
    assert first.stdout == second.stdout
    assert "(3 of 11 mutants)" in first.stdout
    assert first.returncode == 0


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("app/other.py", "app/other.py: there is no such module."),
        ("app/bare.py", "app/bare.py: it has no test file."),
        ("app/wrong.py", "tests/test_wrong.py: they fail before anything is changed (status 1)."),
    ],
)
def test_what_cannot_be_scored_is_said(tree, path, message):
    """A module that is missing, has no tests, or fails them already."""
    (tree / "app" / "bare.py").write_text("")
    (tree / "app" / "wrong.py").write_text("")
    (tree / "tests" / "test_wrong.py").write_text("def test_it():\n    assert False\n")
    ended = score(tree, path)
    assert (ended.stderr.strip(), ended.returncode) == (message, 1)
