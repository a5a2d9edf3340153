"""Where accounts are renewed one at a time: in all processes together, if they can be reached.

All accounts are of one client id, the one that the Codex programs share, and an authorization
server has been seen to revoke a whole family of tokens that were exchanged side by side. So there
is one lane. In this process a lock keeps it; among processes a lease does, which its holder gives
back only when the next exchange may begin. Who waited for it finds the winner's result in the
store and adopts it. While nobody can be asked for the lease, the store's own record of who is
spending which token (`CredentialStore.intend`) is what is left: no token is spent twice then, but
siblings may be renewed side by side.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final

from app.domain.shared import Fence
from app.ports import Clock, SharedState, SharedUnavailable

LEASE_S: Final = 45.0
"""Longer than an exchange takes, and its word to the store; who is gone loses it sooner."""
ASK_AGAIN_S: Final = 0.1
NAME: Final = "renewals"

Sleep = Callable[[float], Awaitable[None]]


class Lane:
    """Lets one exchange through at a time, and the next only `spacing_s` after it."""

    closing = False
    """Set it when the gateway closes: nobody waits for other processes any more."""

    def __init__(
        self, *, spacing_s: float, clock: Clock, sleep: Sleep, shared: SharedState | None = None
    ) -> None:
        self._spacing_s = spacing_s
        self._clock = clock
        self._sleep = sleep
        self._shared = shared
        self._lock = asyncio.Lock()
        self._free_at = -math.inf
        self._fence: Fence | None = None

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        try:
            if self._shared is not None:
                self._fence = await self._lease(self._shared)
            # A lease is free only once the spacing is over, whoever had it.
            wait_s = self._free_at - self._clock.monotonic()
            if wait_s > 0 and self._fence is None:
                await self._sleep(wait_s)
        except BaseException:
            self._lock.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._free_at = self._clock.monotonic() + self._spacing_s
        fence, self._fence = self._fence, None
        try:
            if fence is not None and self._shared is not None:
                await self._shared.release(fence, after_s=self._spacing_s)
        finally:
            self._lock.release()

    async def _lease(self, shared: SharedState) -> Fence | None:
        """Return the lease of all processes' lane; None if it can't be had or is not needed."""
        while not self.closing:
            try:
                fence = await shared.lease(NAME, ttl_s=LEASE_S)
            except SharedUnavailable:
                return None
            if fence is not None:
                return fence
            await self._sleep(ASK_AGAIN_S)
        return None
