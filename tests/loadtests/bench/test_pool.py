"""What the pool costs is measured, judged and shown; nothing here says how much it is."""

import os
import signal
import sys

import pytest

from app.domain.runtime import Strategy
from loadtests.bench import pool
from loadtests.bench.__main__ import main
from loadtests.bench.figures import Book, Run, load
from loadtests.bench.report import tables
from loadtests.bench.rig import QUICK
from loadtests.bench.targets import judged


@pytest.fixture
def small(monkeypatch):
    """Make the bench short: few calls, and 40 are many accounts."""
    monkeypatch.setattr(pool, "CALLS", 40)
    monkeypatch.setattr(pool, "MANY", 40)
    monkeypatch.setattr(pool, "SIZES", (10, 40))


def run(sizes: tuple[int, ...]) -> Run:
    """Measure pools of these sizes."""
    book = Book()
    pool.run(book, QUICK, sizes)
    return Run("2026-01-01", "python -m loadtests.bench pool", {}, book.figures())


@pytest.mark.usefixtures("small")
def test_every_strategy_is_measured_at_every_size():
    """And how much the cost grows from few accounts to many."""
    found = run((10, 40))
    for strategy in Strategy:
        few, many = (found.find(pool.cost(strategy, size)).median for size in (10, 40))
        assert few > 0
        assert found.find(pool.growth(strategy)).median == pytest.approx(many / few)


@pytest.mark.usefixtures("small")
def test_without_few_or_many_accounts_no_growth_is_told():
    """There is nothing to compare."""
    assert run((20,)).find(pool.growth(Strategy.BALANCED)) is None


@pytest.mark.usefixtures("small")
def test_the_table_has_a_row_for_each_strategy():
    """With a figure for each size."""
    rows = tables(run((10, 40)))["pool"].splitlines()
    assert rows[0].split("|")[2:5] == [" 10 accounts ", " 40 accounts ", " 40 : 10 "]
    assert [row.split("|")[1].strip() for row in rows[2:]] == [str(one) for one in Strategy]
    assert "-" not in "".join(rows[2:])


def test_the_pool_is_held_to_its_targets():
    """The default strategy to a bound, every strategy to how its cost grows."""
    book = Book()
    book.add(pool.cost(Strategy.BALANCED, 10_000), 15.1)
    for strategy in Strategy:
        book.add(pool.growth(strategy), 1.9)
    found = Run("2026-01-01", "", {}, book.figures())
    verdicts = [one.verdict for one in judged(found) if one.value is not None]
    assert verdicts == ["MISSED", *["ok"] * len(Strategy)]


@pytest.mark.skipif(sys.platform != "linux", reason="the bench reads Linux's /proc")
@pytest.mark.usefixtures("small")
def test_the_pool_is_measured_without_any_program(tmp_path, capsys):
    """It takes its word on the command line, and saves its figures like all others."""
    before = os.sched_getaffinity(0)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        assert main(["pool", "--quick", "--json", str(tmp_path / "run.json")]) == 0
    finally:
        os.sched_setaffinity(0, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert {figure.key.scenario for figure in load(tmp_path / "run.json").figures} == {"pool"}
    assert "upstream" not in capsys.readouterr().out
