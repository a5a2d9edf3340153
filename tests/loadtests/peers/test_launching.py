"""How peers are asked, and what is said of them."""

from loadtests.peers.installing import NAMES
from loadtests.peers.launching import BEFORE, DOES
from loadtests.peers.table import ROWS


def test_every_peer_can_be_started_and_is_described():
    """The gateway is started in a way of its own."""
    assert {*BEFORE, "gateway"} == set(NAMES) == set(DOES)


def test_every_peer_has_a_row():
    """Whatever was measured is shown."""
    assert {program for program, _ in ROWS} == set(NAMES)
