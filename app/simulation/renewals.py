"""Renews the credentials of a simulated pool, at the deadlines of the real one.

One exchange an account at a time: who needs a credential that is being renewed waits for it. What
an answer that gets lost does to a refresh token is not played here.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from app.accounts.deadlines import RenewalPolicy, renewal_at, retry_at
from app.domain.account import Account, AccountId
from app.pool.pool import AccountPool
from app.simulation.plan import Faults
from app.simulation.timeline import Timeline
from app.simulation.upstream import SimulatedUpstream

EXCHANGE_S: Final = 1.0

Then = Callable[[bool], None]


class _Entry(Struct):
    account: Account
    due_at: float | None = None
    """When it is renewed next, by the gateway's clock."""
    failures: int = 0
    lost: bool = False
    waiting: list[Then] | None = None
    """Who waits for the exchange that is going on; None if there is none."""


class Renewals:
    """The credentials of all accounts."""

    def __init__(
        self,
        *,
        time: Timeline,
        pool: AccountPool,
        upstream: SimulatedUpstream,
        faults: Faults,
        rng: Random,
        changed: Callable[[], None],
    ) -> None:
        self._time = time
        self._pool = pool
        self._upstream = upstream
        self._failure_share = faults.renewal_failure_share
        self._rng = rng
        self._changed = changed
        self._policy = RenewalPolicy()
        self._entries: dict[AccountId, _Entry] = {}
        self.ends_at = 0.0
        """From here on nothing is renewed any more, so that the run ends; true time."""

    def watch(self, account: Account) -> None:
        """Renew the account's credential from now on."""
        if account.credential.renewable:
            entry = self._entries[account.id] = _Entry(account)
            self._schedule(entry, fresh=True)

    def demand(self, account_id: AccountId, generation: int, then: Then) -> None:
        """Renew the credential of that generation; `then` hears whether there is a newer one."""
        entry = self._entries.get(account_id)
        if entry is None or entry.lost:
            then(False)  # noqa: FBT003 - an answer to a question
        elif entry.account.credential.generation > generation:
            then(True)  # noqa: FBT003 - the same
        else:
            self._begin(entry)
            if entry.waiting is None:
                then(False)  # noqa: FBT003 - the same: the run is over
            else:
                entry.waiting.append(then)

    def newest(self, account: Account) -> Account:
        """Return the account with the newest credential that it has."""
        entry = self._entries.get(account.id)
        return account if entry is None else replace(account, credential=entry.account.credential)

    def clock_was_set(self) -> None:
        """Look at all deadlines again."""
        for entry in self._entries.values():
            if entry.due_at is not None:
                self._ring(entry)

    def _schedule(self, entry: _Entry, *, fresh: bool) -> None:
        now = self._time.now
        if entry.failures:
            entry.due_at = retry_at(
                entry.failures, retry_after_s=None, now=now, policy=self._policy, rng=self._rng
            )
        else:
            ends_at = entry.account.credential.expires_at
            entry.due_at = renewal_at(
                ends_at, fresh=fresh, now=now, policy=self._policy, rng=self._rng
            )
        self._ring(entry)

    def _ring(self, entry: _Entry) -> None:
        if entry.due_at is not None:
            self._time.plan_in(max(0.0, entry.due_at - self._time.now), self._due, entry)

    def _due(self, entry: _Entry) -> None:
        if entry.due_at is not None and entry.due_at <= self._time.now + 1e-3:
            self._begin(entry)

    def _begin(self, entry: _Entry) -> None:
        if entry.waiting is None and not entry.lost and self._time.at < self.ends_at:
            entry.waiting = []
            entry.due_at = None
            self._time.plan_in(EXCHANGE_S * (0.5 + self._rng.random()), self._answered, entry)

    def _answered(self, entry: _Entry) -> None:
        waiting, entry.waiting = entry.waiting or [], None
        renewed = self._exchanged(entry)
        for then in waiting:
            then(renewed)
        self._changed()

    def _exchanged(self, entry: _Entry) -> bool:
        account = entry.account
        if self._rng.random() < self._failure_share:
            entry.failures += 1
            self._schedule(entry, fresh=False)
            return False
        credential = self._upstream.exchange(account, at=self._time.at)
        if credential is None:
            entry.lost = True
            return False
        entry.failures = 0
        entry.account = replace(account, credential=credential)
        current = self._pool.account(account.id)
        if current is not None:
            self._pool.put(replace(current, credential=credential), now=self._time.now)
        self._schedule(entry, fresh=True)
        return True
