"""Tests of app.domain.report."""

import pytest

from app.domain.report import DAY_S, HOUR_S, Dimension, Only, Step, Window

NOON = 20_000 * DAY_S + 12 * HOUR_S


@pytest.mark.parametrize(("window", "starts"), [
    (Window(Step.HOUR, 2), [NOON - HOUR_S, NOON]),
    (Window(Step.DAY, 1), [NOON - 12 * HOUR_S]),
    (Window(Step.HOUR, 0), [NOON]),
])  # fmt: skip
def test_a_window_ends_with_the_present_hour_or_day(window, starts):
    """It has at least that one."""
    assert list(window.starts(NOON + 59.0)) == starts


def test_a_window_is_cut_to_what_its_step_may_have():
    """So that no answer grows with what is asked for."""
    assert len(Window(Step.HOUR, 10_000).starts(NOON)) == Step.HOUR.most


def test_what_is_left_open_narrows_nothing():
    """Only what is named is told."""
    assert Only(model="gpt-5.5").chosen() == {Dimension.MODEL: "gpt-5.5"}
