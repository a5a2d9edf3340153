"""Tests of app.compose.observers."""

from unittest.mock import Mock, call

import pytest

from app.compose.observers import Observers, Watchers
from app.domain.call import Dialect
from app.domain.outcome import Abandoned, Outcome, Succeeded, Unauthorized
from app.telemetry.metrics import Metrics
from tests.fakes import accounts


@pytest.mark.parametrize(
    ("name", "told"),
    [("leased", 3), ("refused", 3), ("began", 2), ("attempt", 4)],
)
def test_all_are_told_the_first_one_first(name, told):
    """All that there is to tell."""
    order = Mock()
    values = tuple(range(told))
    told_all = Observers(order.first, order.second, order.third, unauthorized=order.unauthorized)
    getattr(told_all, name)(*values)
    assert order.mock_calls == [
        getattr(call.first, name)(*values),
        getattr(call.second, name)(*values),
        getattr(call.third, name)(*values),
    ]


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Unauthorized(dead=False, reason="expired"), True),
        (Unauthorized(dead=True, reason="deactivated"), True),
        (Succeeded(0.1), False),
        (Abandoned(), False),
    ],
)
def test_a_refused_credential_is_told_of_whatever_becomes_of_the_call(
    outcome: Outcome, told: bool
) -> None:
    """With the account as it was for the attempt."""
    unauthorized, used = Mock(), accounts.account("a", generation=3)
    observers = Observers(Mock(), Mock(), unauthorized=unauthorized)
    observers.attempt(accounts.call(), used, outcome, None)
    assert unauthorized.mock_calls == ([call(used, outcome)] if told else [])


def test_answers_are_counted_and_traced() -> None:
    """Everything else goes to the metrics alone."""
    metrics, traced = Metrics(), Recorder()
    watchers = Watchers(metrics, traced)
    assert watchers.passed == metrics.passed
    watchers.stream_began(accounts.call(), 0.1)
    assert metrics.streams == 1
    watchers.call(Dialect.CHAT, None, 200, "ok", 1.0)
    assert traced.told == [(Dialect.CHAT, None, 200, "ok", 1.0)]


class Recorder:
    """Keeps what it is told of answers."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def call(self, *said: object) -> None:
        """Keep it."""
        self.told.append(said)
