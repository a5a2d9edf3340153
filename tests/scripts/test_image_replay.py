"""Tests of scripts.image_replay: what it reads of a Dockerfile."""

from pathlib import Path

import pytest

from scripts.image_replay import stages, variables

ROOT = Path(__file__).parents[2]


def test_stages_and_steps_are_read_with_their_long_lines_joined() -> None:
    """Comments are left out, also those within an instruction."""
    build, last = stages("# a\nFROM one AS build\nRUN a \\\n# b\n && c\n\nFROM two\nUSER 1:1\n")
    assert (build.base, build.name) == ("one", "build")
    assert [(step.word, step.rest) for step in build.steps] == [("RUN", "a && c")]
    assert (last.base, last.name, last.steps[0].rest) == ("two", "1", "1:1")


def test_an_instruction_before_the_first_stage_is_an_error() -> None:
    """It would belong to no stage."""
    with pytest.raises(ValueError, match="RUN before the first FROM"):
        stages("RUN a")


def test_variables_know_those_before_them() -> None:
    """As `PATH=/opt/bin:$PATH` does; an unknown one is empty."""
    assert variables('A=/x:$B C="d e" D=$Z', {"B": "/y"}) == {"A": "/x:/y", "C": "d e", "D": ""}


def test_every_instruction_of_the_dockerfile_is_one_that_is_replayed_or_kept() -> None:
    """A new kind of instruction has to be thought of."""
    known = {
        *("RUN", "COPY", "ENV", "WORKDIR", "USER", "LABEL", "VOLUME", "EXPOSE"),
        *("STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"),
    }
    words = {step.word for one in stages((ROOT / "Dockerfile").read_text()) for step in one.steps}
    assert words <= known
