"""Where the name of an operator's upstream leads, judged before anything connects.

A name is looked up here and nowhere else, and the connection goes to the very address that was
judged: between the judgement and the connection there is no second look-up that a rebinding name
server could answer otherwise. Certificates and the `host` header stay those of the name. By way of
a proxy it is the proxy that looks names up, and its operator who says where it may go.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httpx
from msgspec import Struct

from app.domain import egress
from app.domain.account import Account
from app.ports import UpstreamFailure

KNOWN_S: Final = 30.0
"""How long a look-up counts; a server that moves is followed within that time."""
NAMES_MAX: Final = 1_024
LOOK_UP_S: Final = 5.0

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a name for a port, the best one first; raises OSError."""


class Pin(Struct, frozen=True):
    """The one address that a connection for this name goes to."""

    host: str
    address: str
    port: int


class _Known(Struct):
    pin: Pin
    others: tuple[str, ...]
    """The addresses that come next, should this one not answer."""
    until: float


class Addresses:
    """Looks names up and judges them; `private` are those that may lead into private networks.

    `proxied` says that what has no proxy of its own goes by a proxy too.
    """

    def __init__(
        self,
        *,
        private: Sequence[str] = (),
        proxied: bool = False,
        look_up: LookUp | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._private = tuple(private)
        self._proxied = proxied
        self._look_up = look_up or looked_up
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Task[_Known]] = {}

    async def pin(self, account: Account) -> Pin | None:
        """Return where to connect for an account's base URL.

        None if there is nothing to look up: it goes by a proxy, its URL names an address (which
        was judged when it came in), or it has none, so that its address is the gateway's own word.

        Raises:
            UpstreamFailure: The name is unknown, or leads where this upstream may not be.
        """
        base_url = account.base_url
        if base_url is None or self._proxied or account.proxy_url:
            return None
        known = self._known.get(base_url)
        if known is not None and self._now() < known.until:
            return known.pin
        parts = urlsplit(base_url)
        if egress.is_address(parts.hostname or ""):
            return None
        task = self._asking.get(base_url)
        if task is None:
            # A task of its own: others wait for it too, and its first caller may leave.
            task = asyncio.get_running_loop().create_task(self._ask(base_url, parts))
            self._asking[base_url] = task
            task.add_done_callback(lambda _: self._asking.pop(base_url, None))
        return (await asyncio.shield(task)).pin

    def failed(self, account: Account, pin: Pin) -> None:
        """Say that nobody answers at this address: the next one takes its turn."""
        known = self._known.get(account.base_url or "")
        if known is not None and known.pin == pin and known.others:
            following, *rest = known.others
            known.pin = Pin(pin.host, following, pin.port)
            known.others = (*rest, pin.address)

    async def _ask(self, base_url: str, parts: SplitResult) -> _Known:
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        try:
            async with asyncio.timeout(LOOK_UP_S):
                found = await self._look_up(host, port)
        except (OSError, UnicodeError, TimeoutError):
            raise UpstreamFailure("the name of the upstream is unknown", sent=False) from None
        flaws = [egress.flaw_of(each, host, secure=secure, private=self._private) for each in found]
        good = [each for each, flaw in zip(found, flaws, strict=True) if flaw is None]
        if not good:
            reason = next(iter(flaws), None) or "the name of the upstream has no address"
            raise UpstreamFailure(reason, sent=False)
        before = self._known.pop(base_url, None)
        # Whoever is in use stays so while it is one of them: names are often answered in turn.
        first = before.pin.address if before and before.pin.address in good else good[0]
        others = tuple(each for each in good if each != first)
        if len(self._known) >= NAMES_MAX:
            del self._known[next(iter(self._known))]
        known = _Known(Pin(host, first, port), others, self._now() + KNOWN_S)
        self._known[base_url] = known
        return known

    def _now(self) -> float:
        return (self._monotonic or asyncio.get_running_loop().time)()


async def looked_up(host: str, port: int) -> list[str]:
    """Return the addresses that the system's resolver has for a name, the best one first."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def pinned(url: str, pin: Pin | None) -> tuple[str, list[tuple[str, str]], dict[str, str]]:
    """Return URL, headers and extensions with which httpx connects to the pin, as by the name."""
    if pin is None:
        return url, [], {}
    named = httpx.URL(url)
    host = named.netloc.decode()
    return str(named.copy_with(host=pin.address)), [("host", host)], {"sni_hostname": pin.host}
