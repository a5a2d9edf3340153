"""A gateway that is killed four times under load has lost, doubled and made up nothing."""

import pytest

from loadtests.crashes.__main__ import main


@pytest.mark.slow
def test_books_survive_being_killed(capsys):
    """What the callers heard, what is booked and what the simulator did agree."""
    assert main(["--kills", "4", "--seed", "3"]) == 0
    said = capsys.readouterr().out
    assert "All books agree." in said
    assert " 0 heard" not in said
