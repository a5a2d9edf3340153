"""Tests of scripts.monitoring, and that its files are what it would write now."""

import textwrap

import pytest
import yaml

from scripts.monitoring import ALERTS, DASHBOARDS, files

FILES = list(files())


@pytest.mark.parametrize(("path", "text"), FILES, ids=[path.stem for path, _ in FILES])
def test_a_file_of_the_component_is_current(path, text) -> None:
    """`make k8s` was run after the last change of an alert or of a dashboard."""
    assert path.read_text("utf-8") == text


def test_what_is_indented_is_still_the_same() -> None:
    """The alerts and every dashboard come out of the YAML as they went in."""
    rule, boards = (yaml.safe_load(text) for _, text in FILES)
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text("utf-8"))
    assert boards["data"] == {path.name: path.read_text() for path in DASHBOARDS.glob("*.json")}
    assert textwrap.dedent(FILES[0][1].partition("spec:\n")[2]) == ALERTS.read_text("utf-8")
