"""Tests of app.edge.strain."""

import pytest

from app.edge.strain import CALL_DESCRIPTORS, FULL, LATE, Strain
from app.errors import Overloaded


class Machine:
    """How late its loop is, and how many descriptors are open."""

    def __init__(self) -> None:
        self.lag_s = 0.0
        self.open = 10
        self.strain = Strain(
            lag_s=lambda: self.lag_s,
            lag_max_s=2.0,
            descriptors=lambda: self.open,
            descriptors_max=100,
            descriptors_spare=40,
        )


@pytest.fixture
def machine() -> Machine:
    """One at rest."""
    return Machine()


def test_what_is_open_at_the_start_counts_from_the_first_call_on(machine):
    """A crowd may come before the first look."""
    for _ in range((60 - machine.open) // CALL_DESCRIPTORS):
        machine.strain.admit()
    assert machine.strain.word == FULL


@pytest.mark.parametrize(
    ("lag_s", "open_", "word"),
    [(0.0, 10, ""), (2.0, 59, ""), (2.1, 59, LATE), (0.0, 60, FULL), (9.0, 99, FULL)],
)
def test_what_is_lacking_has_a_word(machine, lag_s, open_, word):
    """And nobody is let in as long as it is."""
    machine.lag_s, machine.open = lag_s, open_
    machine.strain.measure()
    assert machine.strain.word == word
    if not word:
        machine.strain.admit()
        return
    with pytest.raises(Overloaded) as refused:
        machine.strain.admit()
    assert (refused.value.status, refused.value.code) == (503, "overloaded")
    assert refused.value.retry_after_s > 0


def test_between_two_looks_a_call_counts_as_what_it_will_take(machine):
    """A crowd that comes at once is not let in as a whole."""
    room = (60 - 10) // CALL_DESCRIPTORS
    for _ in range(room):
        machine.strain.admit()
    with pytest.raises(Overloaded):
        machine.strain.admit()
    machine.open = 58
    machine.strain.measure()
    machine.strain.admit()
    assert machine.strain.word == FULL
