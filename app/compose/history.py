"""Puts together what is remembered for `previous_response_id`: in memory, in Redis if it is there.

What goes to Redis is sealed by the store's keyring, under its own name there.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from app.domain.account import Secret
from app.limits import Limits
from app.ports import Clock
from app.relay.history import MemoryHistory, SharedHistory, history_bounds
from app.store.keyring import Keyring, Place, SealBroken

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from app.shared.history import RedisHistory

KEY_SHARE: Final = 4
"""One key fills at most this part of the room of all."""


class KeyringSealer:
    """Satisfies `app.shared.history.Sealer`."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, text: bytes, name: str) -> bytes:
        """Return the record that holds `text` under `name`."""
        return self._keyring.seal(Secret(text.decode()), _place(name))

    def open(self, record: bytes, name: str) -> bytes | None:
        """Return what was sealed under `name`; None if it can't be read here."""
        try:
            return self._keyring.open(record, _place(name)).reveal().encode()
        except SealBroken:
            return None


class Remembering:
    """The history of one worker, and what has to run for it."""

    def __init__(
        self, limits: Limits, redis: "Redis | None", keyring: Keyring, clock: Clock
    ) -> None:
        memory = MemoryHistory(bounds=history_bounds(limits), clock=clock)
        self.history: MemoryHistory | SharedHistory = memory
        self._store: RedisHistory | None = None  # noqa: F823 - never evaluated
        if redis is not None:
            # As in `app.compose.sharing`: only where there is a Redis.
            from app.shared.history import RedisHistory, Room  # noqa: PLC0415

            shared_max = limits.history_shared_bytes_max
            room = Room(shared_max, shared_max // KEY_SHARE, limits.history_ttl_s)
            self._store = RedisHistory(
                client=redis, sealer=KeyringSealer(keyring), room=room, clock=clock
            )
            self.history = SharedHistory(memory, self._store, sleep=asyncio.sleep)

    async def run(self) -> None:
        """Write for the other workers, until cancelled; returns at once if there are none."""
        if self._store is not None:
            await self._store.run()


def _place(name: str) -> Place:
    return Place("history", name, "turn")
