"""Where an operator may let calls and credentials go: the rules for an upstream's address. Pure.

Callers never name an upstream; operators do, and their own servers often stand in a private
network. So private addresses are allowed, and plain HTTP is there and nowhere else: a key never
crosses the internet in the clear. What no upstream can ever be is refused, however it is spelled:
the metadata services of clouds, link-local, multicast and reserved addresses, and IPv4 addresses
wrapped in IPv6 ones.

A URL is judged when it comes in (`base_url`), and what its name leads to whenever a connection is
made (`flaw_of`): the name's owner may let it lead elsewhere later. A name of the internet leads
into no private network, unless the operator says that it may.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from app.errors import InvalidRequest

URL_CHARS_MAX: Final = 2_048
_IN_THE_CLEAR: Final = "plain http is for private networks only: use https"

_NUMERIC: Final = re.compile(
    r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE
)
"""What resolvers take for an IPv4 address although it is not written as one."""
_WRAPPING: Final = tuple(
    IPv6Network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
_METADATA: Final = frozenset(
    {ip_address("169.254.169.254"), ip_address("100.100.100.200"), ip_address("fd00:ec2::254")}
)
_METADATA_NAMES: Final = frozenset(
    {"instance-data", "metadata", "metadata.google.internal", "metadata.goog"}
)
_PRIVATE_NAMES: Final = (".internal", ".lan", ".local", ".localhost", ".svc", ".home.arpa")
_PRIVATE: Final = tuple(
    ip_network(each)
    for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)


def base_url(text: str, *, param: str = "base_url") -> str:
    """Return an upstream's base URL as it is kept, without a slash at its end.

    Raises:
        InvalidRequest: It is no plain http or https URL, or leads where no upstream may be.
    """
    url = text.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    plain = host and parts.scheme in ("http", "https") and not (parts.query or parts.fragment)
    if not plain or len(url) > URL_CHARS_MAX or not url.isprintable() or " " in url:
        raise _refused(
            param, "expected an https:// URL (or http:// in a private network), no query"
        )
    if parts.username is not None or parts.password is not None:
        raise _refused(param, "a URL with a user or a password is not taken")
    flaw = _flaw(host.rstrip(".").lower(), secure=parts.scheme == "https")
    if flaw is not None:
        raise _refused(param, flaw)
    return url.rstrip("/")


def is_address(host: str) -> bool:
    """Tell whether a URL's host is an address and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def flaw_of(address: str, host: str, *, secure: bool, private: Iterable[str] = ()) -> str | None:
    """Return why an upstream with this name may not be at this address, None if it may.

    `private` are names, or `*` and the end of names, that may lead into private networks.
    """
    found = _unwrapped(address.partition("%")[0])
    name = host.rstrip(".").lower()
    if _closed(found):
        return "the upstream's name leads to an address that no upstream can have"
    if not _private(found):
        return None if secure else f"the upstream's name leads out: {_IN_THE_CLEAR}"
    if _is_private_name(name) or any(_fits(name, pattern.lower()) for pattern in private):
        return None
    return "the upstream's name leads into a private network, see UPSTREAM_PRIVATE_NAMES"


def _fits(name: str, pattern: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*") else name == pattern


def _is_private_name(name: str) -> bool:
    return "." not in name or name.endswith(_PRIVATE_NAMES)


def _unwrapped(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _private(address: IPv4Address | IPv6Address) -> bool:
    return address.is_loopback or any(
        address.version == network.version and address in network for network in _PRIVATE
    )


def _flaw(host: str, *, secure: bool) -> str | None:
    try:
        address = _unwrapped(host)
    except ValueError:
        return _flaw_of_name(host, secure=secure)
    if _closed(address):
        return f"{host} is no address that an upstream can have"
    return None if secure or _private(address) else _IN_THE_CLEAR


def _flaw_of_name(host: str, *, secure: bool) -> str | None:
    if _NUMERIC.fullmatch(host):
        return f"{host} is an address that is not spelled as one"
    if host in _METADATA_NAMES:
        return f"{host} is no upstream"
    return None if secure or _is_private_name(host) else _IN_THE_CLEAR


def _closed(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether no upstream can have this address."""
    wrapped = isinstance(address, IPv6Address) and any(address in net for net in _WRAPPING)
    odd = address.is_link_local or address.is_multicast or address.is_unspecified
    odd = odd or (address.is_reserved and not address.is_loopback)
    broad = isinstance(address, IPv4Address) and address in ip_network("0.0.0.0/8")
    return wrapped or odd or broad or address in _METADATA


def _refused(param: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: {reason}.", param=param)
