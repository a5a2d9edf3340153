"""A soak of seconds: all of it runs, and all invariants hold."""

import json
import sys
from random import Random

import pytest

from loadtests.soak import plans
from loadtests.soak.__main__ import main


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_short_soak_leaves_nothing_and_breaks_nothing(tmp_path, capsys):
    """Plots and figures are written, and the verdict is that of the checker."""
    figures = tmp_path / "soak.json"
    arguments = ["--minutes", "0.2", "--callers", "6", "--json", str(figures)]
    assert main([*arguments, "--plots", str(tmp_path)]) == 0, capsys.readouterr().out
    said = json.loads(figures.read_text())
    assert said["faults"] == 0
    assert said["whole"] > 10
    assert said["tasks"][1] >= said["tasks"][0] > 0
    assert (tmp_path / "soak-rss.svg").read_text().startswith("<svg")
    assert "All invariants hold." in capsys.readouterr().out


def test_every_fault_has_its_share():
    """One in a hundred of each, and most calls are plain."""
    drawn = [plans.draw(Random(seed)) for seed in range(20_000)]
    names = [each.name for each in drawn]
    assert set(plans.NAMES) | {"plain"} == set(names)
    assert all(0.5 < names.count(name) / 200 < 1.6 for name in plans.NAMES)
    assert names.count("plain") > len(drawn) / 2
