"""Tests of app.compose.sockets."""

from msgspec import structs

from app.compose.sockets import bounds_of
from app.edge.sockets.machine import SocketBounds
from app.limits import Limits


def test_the_limits_bound_each_connection() -> None:
    """The built-in ones are those of the machine itself."""
    assert bounds_of(Limits()) == SocketBounds()
    other = structs.replace(Limits(), socket_idle_s=1.0, socket_message_bytes_max=2)
    bounds = bounds_of(other)
    assert (bounds.idle_s, bounds.message_bytes_max) == (1.0, 2)
