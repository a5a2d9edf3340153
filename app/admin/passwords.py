"""Passwords to hashes that are slow to try, made in threads and few at a time.

One Argon2id hash takes 64 MiB and about a tenth of a second, so whoever could ask for many at a
time would stop the gateway.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.domain.account import Secret

T = TypeVar("T")

AT_A_TIME: Final = 2
WAITING_MAX: Final = 20
"""Hashes that wait for their turn; whoever comes after them is told to come back."""


class TooManyHashes(Exception):
    """So many passwords wait to be tried that another one is not taken in."""


class Passwords:
    """Hashes passwords and tries them."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Take another hasher than one with the parameters of RFC 9106, in tests."""
        self._hasher = hasher or PasswordHasher()
        self._places = asyncio.Semaphore(AT_A_TIME)
        self._waiting = 0

    async def hash(self, password: Secret) -> str:
        """Return what is stored of a password.

        Raises:
            TooManyHashes: Too many are waiting.
        """
        return await self._in_turn(lambda: self._hasher.hash(_bytes(password)))

    async def matches(self, hash: str, password: Secret) -> bool:
        """Tell whether a stored hash is that of this password; raises like `hash`."""
        return await self._in_turn(lambda: self._verify(hash, password))

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise TooManyHashes
        self._waiting += 1
        try:
            async with self._places:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1

    def _verify(self, hash: str, password: Secret) -> bool:
        try:
            return self._hasher.verify(hash, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False


def _bytes(password: Secret) -> bytes:
    # Whatever somebody sends is a password that is wrong, not an error.
    return password.reveal().encode("utf-8", "surrogatepass")
