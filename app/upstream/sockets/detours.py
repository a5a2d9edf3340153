"""What did not work over sockets, so that HTTP is taken instead for a while. Pure.

Nothing here says anything bad about an account: it goes on to be leased, and its calls take the
other way. What is remembered is forgotten by time and by number.
"""

from typing import Final

from msgspec import Struct

from app.domain.account import AccountId

FAILED_FIRST_S: Final = 30.0
FAILED_MAX_S: Final = 600.0
NO_SOCKETS_S: Final = 3_600.0
"""After 426: this upstream wants HTTP, and says so to whoever asks."""
THROTTLED_S: Final = 60.0
"""After a 429 for handshakes: they are counted by the minute, for all accounts together."""
ACCOUNTS_MAX: Final = 10_000

MESSAGE_BYTES_MAX: Final = 15 << 20
"""The backend takes 16 MiB; what is close to it is not tried."""
SAMPLE_BYTES_MIN: Final = 64 << 10
"""A message smaller than this can't have been too large, whatever the close code says."""
SIZE_TTL_S: Final = 6 * 3_600.0
SIZE_MARGIN: Final = 0.95


class _Detour(Struct):
    until: float
    failures: int


class Detours:
    """The memory of one worker. All times are seconds of a clock that never steps."""

    def __init__(self) -> None:
        self._accounts: dict[AccountId, _Detour] = {}
        self._throttled_until = 0.0
        self._bytes_max = MESSAGE_BYTES_MAX
        self._bytes_until = 0.0

    def __len__(self) -> int:
        return len(self._accounts)

    def size_max(self, now: float) -> int:
        """Return how long a message may be."""
        return self._bytes_max if now < self._bytes_until else MESSAGE_BYTES_MAX

    def too_large(self, size: int, now: float) -> None:
        """Note that a message of this size was refused as too big."""
        if size < SAMPLE_BYTES_MIN:
            return
        self._bytes_max = min(int(size * SIZE_MARGIN), self.size_max(now))
        self._bytes_until = now + SIZE_TTL_S

    def avoid(self, account_id: AccountId, now: float) -> bool:
        """Tell whether no new socket should be dialled for this account now."""
        if now < self._throttled_until:
            return True
        detour = self._accounts.get(account_id)
        return detour is not None and now < detour.until

    def failed(self, account_id: AccountId, now: float) -> None:
        """Note that a handshake failed; each one in a row doubles the time."""
        detour = self._accounts.pop(account_id, None) or _Detour(0.0, 0)
        for_s = min(FAILED_FIRST_S * 2.0 ** min(detour.failures, 16), FAILED_MAX_S)
        self._remember(account_id, _Detour(now + for_s, detour.failures + 1))

    def no_sockets(self, account_id: AccountId, now: float) -> None:
        """Note that the upstream has no sockets for this account."""
        self._accounts.pop(account_id, None)
        self._remember(account_id, _Detour(now + NO_SOCKETS_S, 0))

    def throttled(self, for_s: float | None, now: float) -> None:
        """Note that there were too many handshakes."""
        self._throttled_until = now + min(for_s or THROTTLED_S, FAILED_MAX_S)

    def worked(self, account_id: AccountId) -> None:
        """Note that a handshake succeeded."""
        self._accounts.pop(account_id, None)

    def forget(self, now: float) -> None:
        """Forget the failures that are long over."""
        over = [who for who, detour in self._accounts.items() if now >= detour.until + FAILED_MAX_S]
        for account_id in over:
            del self._accounts[account_id]

    def _remember(self, account_id: AccountId, detour: _Detour) -> None:
        if len(self._accounts) >= ACCOUNTS_MAX:
            del self._accounts[next(iter(self._accounts))]
        self._accounts[account_id] = detour
