"""The accounts of one worker, and who is using them.

No method awaits. Between reading the state and writing it nothing else can run, so the pool
needs no lock; and as `now` and `rng` are given to it, a test can replay it. Accounts that may
take a call stand in a list of their own and cooling ones on a heap, so that no call walks all
accounts.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from app.domain.account import Account, AccountId
from app.domain.call import Call
from app.domain.outcome import Outcome, Succeeded, Unauthorized
from app.pool import health
from app.pool.affinity import AffinityTable
from app.pool.selection import choose
from app.pool.state import AccountState, Health

PROSPECTS_MAX = 256


class Lease(Struct, frozen=True):
    """The right to make one attempt on one account. Settle it exactly once."""

    account: Account
    number: int


class NotBefore(Struct, frozen=True):
    """No account can take the call now.

    `at` is the earliest known moment (epoch seconds) at which one may; None if only a settled
    lease can make room (`busy`) or if nothing will (no account serves the model at all).
    """

    at: float | None
    busy: bool


class AccountPool:
    """Leases accounts to calls and learns from how the calls end."""

    def __init__(self, *, rng: Random, affinity: AffinityTable) -> None:
        self._rng = rng
        self._affinity = affinity
        self._states: dict[AccountId, AccountState] = {}
        self._leaving: dict[AccountId, AccountState] = {}
        """Accounts that are gone but for calls in flight; who comes back brings them along."""
        self._ready: list[AccountState] = []
        self._place: dict[AccountId, int] = {}
        self._cooling: list[tuple[float, AccountId]] = []
        self._wakes: dict[AccountId, float] = {}
        """The latest moment on the heap for each account, so that none is pushed twice."""
        self._leased: dict[int, AccountState] = {}
        self._number = 0
        self._prospects: dict[tuple[str, frozenset[AccountId]], NotBefore] = {}

    def lease(
        self,
        call: Call,
        *,
        excluding: frozenset[AccountId],
        now: float,
        preferring: AccountId | None = None,
    ) -> Lease | NotBefore:
        """Lease the best account for `call`, or say when there may be one.

        `preferring` names an account that is to try once more, if it can.
        """
        if self._cooling:
            self._wake(now)
        state = self._bound(call, excluding, preferring, now)
        if state is None:
            model = call.model
            state = choose(
                self._ready,
                turn=self._number,
                fit=lambda s: s.account.id not in excluding and health.serves(s, model, now=now),
                rng=self._rng,
            )
        if state is None:
            return self.not_before(call, excluding=excluding, now=now)
        return self._take(state, call, now)

    def not_before(self, call: Call, *, excluding: frozenset[AccountId], now: float) -> NotBefore:
        """Say why nobody can take the call, which must be so.

        A walk over all accounts; the answer is kept until an account changes or a rest ends, so
        that a storm of calls that all find nobody costs one walk.
        """
        asked = (call.model, excluding)
        kept = self._prospects.get(asked)
        if kept is None or (kept.at is not None and kept.at <= now):
            if len(self._prospects) >= PROSPECTS_MAX:
                self._prospects.clear()
            kept = self._prospects[asked] = self._look(call, excluding, now)
        return kept

    def settle(self, lease: Lease, outcome: Outcome, *, now: float) -> None:
        """Give the lease back with what the attempt showed. A second settling is a defect."""
        state = self._leased.pop(lease.number)
        state.in_flight -= 1
        if isinstance(outcome, Succeeded) and outcome.usage is not None:
            state.tokens += outcome.usage.total
        # A refusal of a credential that has been replaced since says nothing about the new one.
        used, current = lease.account.credential, state.account.credential
        if used.generation == current.generation or not isinstance(outcome, Unauthorized):
            health.after(state, outcome, now=now, rng=self._rng)
        if not state.in_flight and self._leaving.get(state.account.id) is state:
            del self._leaving[state.account.id]
        self._file(state)

    def bind(self, key: str, account_id: AccountId, *, now: float) -> None:
        """Remember that the session or item named by `key` belongs to the account."""
        self._affinity.bind(key, account_id, now=now)

    def apply(self, accounts: Iterable[Account], *, now: float) -> None:
        """Take over the accounts as the store has them: new, changed and gone."""
        wanted = {account.id: account for account in accounts if account.enabled}
        for gone in [known for known in self._states if known not in wanted]:
            self._dismiss(gone)
        for account in wanted.values():
            self.put(account, now=now)

    def put(self, account: Account, *, now: float) -> None:
        """Take over one account; a newer credential takes an expired account back.

        An older credential than the known one is not gone back to; the rest of the account is
        taken over all the same.
        """
        if not account.enabled:
            self._dismiss(account.id)
            return
        state = self._states.get(account.id)
        if state is None:
            state = self._leaving.pop(account.id, None) or AccountState(account)
            self._states[account.id] = state
        credential = state.account.credential
        if account.credential.generation < credential.generation:
            account = replace(account, credential=credential)
        state.account = account
        if account.credential.generation > credential.generation:
            health.renewed(state, now=now)
        expires_at = account.credential.expires_at
        if expires_at is not None and expires_at <= now and state.health is Health.READY:
            health.expired(state, "access token expired", dead=False)
        self._file(state)

    def retire(self, account_id: AccountId, reason: str, *, dead: bool) -> None:
        """Take an account out whose credential no longer opens anything."""
        state = self._states.get(account_id)
        if state is not None:
            health.expired(state, reason, dead=dead)
            self._file(state)

    def account(self, account_id: AccountId) -> Account | None:
        """Return the account as it is known now."""
        state = self._states.get(account_id)
        return state.account if state else None

    def owner(self, key: str, *, now: float) -> AccountId | None:
        """Return the account that the session or item named by `key` belongs to."""
        return self._affinity.find(key, now=now)

    @property
    def states(self) -> Iterable[AccountState]:
        """All accounts, for those who show them; read only."""
        return self._states.values()

    def has_room(self, *, now: float) -> bool:
        """Tell whether any account at all can take a call now, if it serves the call's model."""
        if self._cooling:
            self._wake(now)
        return bool(self._ready)

    @property
    def leases(self) -> int:
        """How many leases are out."""
        return len(self._leased)

    def _take(self, state: AccountState, call: Call, now: float) -> Lease:
        self._number += 1
        state.in_flight += 1
        state.requests += 1
        state.last_used_at = now
        self._leased[self._number] = state
        if call.session_key is not None:
            self._affinity.bind(call.session_key, state.account.id, now=now)
        if state.full:
            self._unfile(state)
        return Lease(state.account, self._number)

    def _bound(
        self,
        call: Call,
        excluding: frozenset[AccountId],
        preferring: AccountId | None,
        now: float,
    ) -> AccountState | None:
        """Return the account that made the call's state, if it can take the call."""
        if preferring is None and call.session_key is None and not call.owner_keys:
            return None
        keys = (*call.owner_keys, call.session_key)
        owners = (self._affinity.find(key, now=now) for key in keys if key is not None)
        for owner in (preferring, *owners):
            if owner is not None and owner in self._place and owner not in excluding:
                state = self._states[owner]
                if health.serves(state, call.model, now=now):
                    return state
        return None

    def _look(self, call: Call, excluding: frozenset[AccountId], now: float) -> NotBefore:
        at: float | None = None
        busy = False
        for state in self._states.values():
            account = state.account
            if account.id in excluding or (account.models and call.model not in account.models):
                continue
            if state.health is Health.READY and health.serves(state, call.model, now=now):
                busy = True
            elif state.health in (Health.READY, Health.COOLING):
                until = max(state.ready_at, state.model_ready_at.get(call.model, 0.0))
                at = until if at is None else min(at, until)
        return NotBefore(at, busy)

    def _wake(self, now: float) -> None:
        while self._cooling and self._cooling[0][0] <= now:
            at, account_id = heappop(self._cooling)
            if self._wakes.get(account_id) == at:
                del self._wakes[account_id]
            state = self._states.get(account_id)
            if state is not None and health.wake(state, now=now):
                self._file(state)

    def _file(self, state: AccountState) -> None:
        """Put the account where its health and its load say that it belongs."""
        account_id = state.account.id
        self._prospects.clear()
        if self._states.get(account_id) is not state:
            return
        if state.health is Health.READY and not state.full:
            if account_id not in self._place:
                self._place[account_id] = len(self._ready)
                self._ready.append(state)
            return
        self._unfile(state)
        if state.health is Health.COOLING and self._wakes.get(account_id) != state.ready_at:
            self._wakes[account_id] = state.ready_at
            heappush(self._cooling, (state.ready_at, account_id))

    def _dismiss(self, account_id: AccountId) -> None:
        state = self._states.pop(account_id, None)
        if state is None:
            return
        self._unfile(state)
        if state.in_flight:
            self._leaving[account_id] = state

    def _unfile(self, state: AccountState) -> None:
        self._prospects.clear()
        place = self._place.pop(state.account.id, None)
        if place is None:
            return
        last = self._ready.pop()
        if last is not state:
            self._ready[place] = last
            self._place[last.account.id] = place
