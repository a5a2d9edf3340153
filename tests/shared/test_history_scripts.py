"""Tests of app.shared.history_scripts; what the script does is tested in `test_history`."""

from app.shared.history_scripts import ALL, PREFIX, WRITE


def test_the_script_keeps_to_its_own_names() -> None:
    """Other parts keep theirs beside it."""
    assert ALL.startswith(PREFIX)
    assert f"'{PREFIX}'" in WRITE
