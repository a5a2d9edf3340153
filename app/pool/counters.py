"""What the accounts have done in this process so far, to be shown or published. Pure.

The counters themselves are plain integers in `AccountState`. `Changes` remembers in which order
accounts last changed, so that a publisher that comes back with the number it got last time is given
those that changed since, and a quiet pool of ten thousand costs nothing. All values are absolute:
publishing one twice, late or not at all does no harm. What other processes count is not here.
"""

from msgspec import Struct

from app.domain.account import AccountId
from app.pool.state import AccountState


class WindowCount(Struct, frozen=True):
    """What one account spent in one quota window since its counting began."""

    family: str
    minutes: int
    reset_at: float | None
    """Epoch seconds; names the window, as the next one has another reset."""
    tokens: int
    requests: int


class AccountCount(Struct, frozen=True):
    """What one account did since this process began; `in_flight` is of now."""

    account_id: AccountId
    in_flight: int
    requests: int
    successes: int
    failures: int
    tokens: int
    windows: tuple[WindowCount, ...]
    last_used_at: float
    """Epoch seconds; 0 if it was never used."""


class PoolCounters(Struct, frozen=True):
    """The accounts that changed, the latest change first."""

    incarnation: str
    """The process that counted; its values replace what it said before."""
    number: int
    """Ask with it next time to get what changed from here on."""
    accounts: tuple[AccountCount, ...]


class Changes:
    """Accounts in the order of their last change; at most one entry an account."""

    def __init__(self) -> None:
        self._number = 0
        self._latest: dict[AccountId, tuple[int, AccountState]] = {}

    def touch(self, state: AccountState) -> None:
        """Note that a counter of the account has changed."""
        self._number += 1
        account_id = state.account.id
        # Taken out first: a dict keeps the place of a key that it knows.
        self._latest.pop(account_id, None)
        self._latest[account_id] = (self._number, state)

    def forget(self, account_id: AccountId) -> None:
        """Leave the account out from now on: it is gone and has no call in flight."""
        self._latest.pop(account_id, None)

    def counters(self, *, incarnation: str, since: int = 0) -> PoolCounters:
        """Return the accounts that changed after `since`; 0 for all that were ever used.

        Costs as much as there are accounts to return.
        """
        found = []
        for number, state in reversed(self._latest.values()):
            if number <= since:
                break
            found.append(_count(state))
        return PoolCounters(incarnation, self._number, tuple(found))


def _count(state: AccountState) -> AccountCount:
    windows = tuple(
        WindowCount(family, minutes, gauge.reset_at, gauge.tokens, gauge.requests)
        for (family, minutes), gauge in state.windows.items()
    )
    return AccountCount(
        account_id=state.account.id,
        in_flight=state.in_flight,
        requests=state.requests,
        successes=state.successes,
        failures=state.failures,
        tokens=state.tokens,
        windows=windows,
        last_used_at=state.last_used_at,
    )
