"""Where a request comes from: the connection's other end, or who the proxies before it name.

Anybody can send an `X-Forwarded-For`. It is believed as far as trusted proxies have written it:
each adds the address that it was asked from at the end, so reading goes from the last address to
the first that is no trusted proxy's.
"""

import ipaddress
from collections.abc import Iterable, Sequence

from litestar.types import HTTPScope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def origin(scope: HTTPScope, trusted: Sequence[Network]) -> Address | None:
    """Return the caller's address; None where it can't be told."""
    client = scope.get("client")
    found = _address(client[0]) if client else None
    if found is None or not within(found, trusted):
        return found
    for hop in reversed(_hops(scope["headers"])):
        found = _address(hop)
        if found is None or not within(found, trusted):
            return found
    return found


def within(address: Address, networks: Iterable[Network]) -> bool:
    """Tell whether an address is in one of some networks."""
    return any(address in network for network in networks)


def _hops(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    values = (value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
    return [hop for value in values for hop in value.split(",")]


def _address(text: str) -> Address | None:
    """Return the address in `text`, with or without a port; None if there is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
