"""How long somebody waits before the next try at the password: longer after each failure. Pure.

Nobody is ever locked out for good, as then anybody could lock the operator out. The wait grows with
the failures of one address, to five minutes at most. Beside it stands one for all addresses
together, short, and not for those from which somebody has logged in before: many addresses that
guess must not keep the operator away from his own gateway.
"""

import ipaddress
from typing import Final

from msgspec import Struct

FREE: Final = 5
"""Failures of one address that cost no wait: people mistype."""
WAIT_MAX_S: Final = 300.0
FREE_IN_ALL: Final = 30
WAIT_IN_ALL_MAX_S: Final = 10.0
FORGOTTEN_S: Final = 3_600.0
"""After so long without a failure everything is as at first."""
ADDRESSES_MAX: Final = 10_000
KNOWN_MAX: Final = 100
_DOUBLINGS_MAX: Final = 12


class _Tries(Struct):
    """Failures in a row, the last of them, and when the next try may be."""

    failures: int = 0
    at: float = 0.0
    next_at: float = 0.0

    def fail(self, now: float, *, free: int, most_s: float) -> None:
        if now - self.at > FORGOTTEN_S:
            self.failures = 0
        self.failures += 1
        self.at = now
        beyond = self.failures - free
        if beyond > 0:
            self.next_at = now + min(2.0 ** min(beyond - 1, _DOUBLINGS_MAX), most_s)


class Throttle:
    """The tries at one secret; times are of a clock that never steps."""

    def __init__(self) -> None:
        self._by_address: dict[str, _Tries] = {}
        self._in_all = _Tries()
        self._known: dict[str, None] = {}

    def wait_s(self, address: str, *, now: float) -> float:
        """Return how long the address has to wait before it may try; 0 if it may now."""
        place = _place(address)
        tries = self._by_address.get(place)
        until = tries.next_at if tries else 0.0
        if place not in self._known:
            until = max(until, self._in_all.next_at)
        return max(0.0, until - now)

    def failed(self, address: str, *, now: float) -> None:
        """Count a failure. A try that was not let in is none."""
        place = _place(address)
        tries = self._by_address.pop(place, None) or _Tries()
        self._by_address[place] = tries
        while len(self._by_address) > ADDRESSES_MAX:
            del self._by_address[next(iter(self._by_address))]
        tries.fail(now, free=FREE, most_s=WAIT_MAX_S)
        self._in_all.fail(now, free=FREE_IN_ALL, most_s=WAIT_IN_ALL_MAX_S)

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address, and remember that it is a friend's."""
        place = _place(address)
        self._by_address.pop(place, None)
        self._known.pop(place, None)
        self._known[place] = None
        while len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]


def _place(address: str) -> str:
    """Return what counts as one address: of IPv6 the network that one customer is given."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False))
