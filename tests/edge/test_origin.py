"""Tests of app.edge.origin."""

from ipaddress import ip_address, ip_network

import pytest

from app.edge.origin import origin
from tests.edge.asgi import scope

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def told(peer: str | None, *forwarded: str) -> str | None:
    """Return the origin of a request from `peer`, with such headers."""
    asked = scope(*(("x-forwarded-for", value) for value in forwarded))
    if peer is not None:
        asked["client"] = (peer, 1234)
    found = origin(asked, TRUSTED)
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("2001:db8::1", [], "2001:db8::1"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        # Nobody believes what a stranger says of himself.
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
        ("10.0.0.1", ["198.51.100.7:5555"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::5]:443"], "2001:db8::5"),
        ("10.0.0.1", ["[2001:db8::5]"], "2001:db8::5"),
        # What the caller itself has sent stands before what the proxies added.
        ("10.0.0.1", ["10.9.9.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.7 , 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        # A caller within the trusted networks, or a proxy that asks on its own behalf.
        ("10.0.0.1", ["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        # What can't be read could be anybody.
        ("10.0.0.1", ["198.51.100.7, unknown"], None),
        ("10.0.0.1", [""], None),
        ("10.0.0.1", ["198.51.100.7, 10.0.0.2,"], None),
        (None, ["198.51.100.7"], None),
        ("/run/socket", ["198.51.100.7"], None),
    ],
)
def test_the_last_address_that_is_no_proxys_is_the_callers(peer, forwarded, expected):
    """Whatever stands before it: a proxy's word is only good for who asked it."""
    assert told(peer, *forwarded) == expected


def test_without_trusted_proxies_the_connection_counts():
    """That is the default."""
    asked = scope(("x-forwarded-for", "198.51.100.7")) | {"client": ("10.0.0.1", 1)}
    assert origin(asked, ()) == ip_address("10.0.0.1")
