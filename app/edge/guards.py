"""Who is asking, and whether this, from there: a presented key to a caller, from memory."""

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from litestar.types import HTTPScope

from app.domain.caller import Caller, KeyId
from app.edge.origin import Network, origin, within
from app.errors import CallerError, NotAllowed, StateError, Unauthenticated
from app.ports import Callers, Clock

ANONYMOUS = Caller(KeyId("anonymous"), "anonymous")
RETRY_S: Final = 5.0
"""As long as a worker takes at most to hear of new keys once the store is back."""


class Guard:
    """Lets callers in. Costs the same for an unknown key as for a revoked one."""

    def __init__(
        self,
        *,
        callers: Callers,
        clock: Clock,
        allow_anonymous: bool,
        trusted_proxies: Sequence[Network] = (),
        stale: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take the networks of proxies that are believed when they say who asks them.

        `stale` tells that the callers may be others by now, as the store is away.
        """
        self._callers = callers
        self._clock = clock
        self._allow_anonymous = allow_anonymous
        self._trusted_proxies = trusted_proxies
        self._stale = stale

    def identify(self, key: str | None) -> Caller:
        """Return the caller whose key this is.

        Raises:
            Unauthenticated: There is no key, or it opens nothing.
            CallerError: No key is configured at all, so nobody can be let in.
            StateError: It opened nothing when the store was there, which it is not now.
        """
        if self._allow_anonymous:
            return (self._callers.find(key) if key else None) or ANONYMOUS
        if self._callers.empty and not self._stale():
            raise CallerError(
                "No API key is configured on this gateway: make one with `codex2api keys create`.",
                status=503,
                code="no_api_keys",
                type="server_error",
            )
        if not key:
            raise Unauthenticated(
                "You didn't provide an API key: send 'Authorization: Bearer <key>'."
            )
        caller = self._callers.find(key)
        if caller is None and self._stale():
            raise StateError(
                "The key can't be judged while the gateway's database is away.",
                retry_after_s=RETRY_S,
            )
        if caller is None or not caller.enabled:
            raise Unauthenticated("Incorrect API key provided.")
        if caller.expires_at is not None and caller.expires_at <= self._clock.now():
            raise Unauthenticated("This API key has expired.", code="key_expired")
        return caller

    def admit(self, caller: Caller, model: str) -> None:
        """Let the caller use the model.

        Raises:
            NotAllowed: Its key has a list of models, and this is not one of them.
        """
        if not caller.may_use(model):
            raise NotAllowed(f"This API key may not use the model '{model}'.", param="model")

    def admit_from(self, caller: Caller, scope: HTTPScope) -> None:
        """Let the caller ask from where it asks.

        Raises:
            NotAllowed: Its key has a list of networks, and this address is in none of them.
        """
        if not caller.networks:
            return
        address = origin(scope, self._trusted_proxies)
        if address is None or not within(address, _networks(caller.networks)):
            shown = address or "an address that can't be told"
            raise NotAllowed(
                f"This API key may not be used from {shown}.", code="network_not_allowed"
            )

    def admit_to(self, caller: Caller, endpoint: str) -> None:
        """Let the caller use an endpoint.

        Raises:
            NotAllowed: Its key has a list of endpoints, and this is not one of them.
        """
        if caller.endpoints and endpoint not in caller.endpoints:
            raise NotAllowed(
                f"This API key may not use the endpoint '{endpoint}'.", code="endpoint_not_allowed"
            )


@lru_cache(maxsize=1_024)
def _networks(names: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(name, strict=False) for name in names)
