"""The accounts of one worker, and who is using them.

No method awaits. Between reading the state and writing it nothing else can run, so the pool
needs no lock; and as `now` and `rng` are given to it, a test can replay it. What a call shows of an
account goes to those who know what it means (`app.pool.lessons`, `app.pool.quota`); then the
account is filed where its state says, so that no call walks all accounts. Waiting is not done here:
who finds nobody is told when to come back.
"""

from collections.abc import Iterable, Mapping
from random import Random

from msgspec.structs import replace

from app.domain.account import Account, AccountId
from app.domain.call import Call
from app.domain.needs import Need
from app.domain.outcome import Outcome, Succeeded
from app.domain.quota import MAIN_FAMILY, QuotaView
from app.pool import concurrency, health, lessons, quota
from app.pool.affinity import AffinityTable
from app.pool.company import Company
from app.pool.counters import Changes
from app.pool.lease import Lease, NotBefore
from app.pool.pausing import Families, lift, pause, pause_anew
from app.pool.policy import Policy
from app.pool.runway import Runways
from app.pool.shelf import Place, Stance
from app.pool.shelves import Demand, Shelves, Wanted, wanted_by
from app.pool.state import AccountState

__all__ = ["AccountPool", "Lease", "NotBefore"]


class AccountPool:
    """Leases accounts to calls and learns from how the calls end."""

    def __init__(
        self,
        *,
        rng: Random,
        affinity: AffinityTable,
        owners: AffinityTable | None = None,
        policy: Policy | None = None,
    ) -> None:
        """Make an empty pool.

        `affinity` binds sessions and `owners` what only one account can read; in tables of their
        own, as the many sessions of one call each must not push out what a long one depends on.
        """
        self._rng = rng
        self._affinity = affinity
        self._owners = affinity if owners is None else owners
        self._shelves = Shelves(policy or Policy(), rng)
        self._leaving: dict[AccountId, Place] = {}
        """Accounts that are gone but for calls in flight; who comes back brings them along."""
        self._leased: dict[int, tuple[Place, str]] = {}
        """Lease to its account and the model of its call."""
        self._waiting: set[int] = set()
        """Leases whose calls have not begun."""
        self._number = 0
        self._ordinals = 0
        self._families = Families()
        self.changes = Changes()
        """Whose counters have changed, for those who publish them."""
        self.runways = Runways()
        """How long the accounts last."""
        self.company = Company(
            self._shelves, self._families, sessions=affinity, owners=self._owners
        )
        """What other processes are told, and what is heard of them."""

    def configure(self, policy: Policy, *, now: float) -> None:
        """Take over what the operator decided; costs a walk over all accounts if it is new."""
        if policy == self._shelves.policy:
            return
        for place in self._shelves.places.values():
            self._set_pause(place, policy, now)
        self._shelves.rebuild(policy, now=now)

    def lease(
        self,
        call: Call,
        *,
        excluding: frozenset[AccountId],
        now: float,
        preferring: AccountId | None = None,
        only: AccountId | None = None,
    ) -> Lease | NotBefore:
        """Lease the best account for `call`, or say when there may be one.

        `preferring` names an account that is to try once more, if it can; `only` one that takes
        the call or nobody does.
        """
        shelves = self._shelves
        if now >= shelves.soonest:
            shelves.wake(now=now)
        demand = shelves.demand(wanted_by(call), now=now)
        if only is not None:
            if self._can(only, demand, excluding):
                return self._take(shelves.places[only], call, "only", now)
            return self.not_before(call, excluding=excluding, now=now, only=only)
        if preferring is not None or call.session_key is not None or call.owner_keys:
            lease = self._bound(call, demand, excluding, preferring, now)
            if lease is not None:
                return lease
        family = self._families.known.get(call.model, MAIN_FAMILY)
        state = shelves.choose(demand, excluding=excluding, family=family, now=now)
        if state is None:
            return self.not_before(call, excluding=excluding, now=now)
        return self._take(shelves.places[state.account.id], call, shelves.policy.strategy, now)

    def not_before(
        self,
        call: Call,
        *,
        excluding: frozenset[AccountId],
        now: float,
        only: AccountId | None = None,
    ) -> NotBefore:
        """Say why nobody can take the call, which must be so.

        A storm of calls that all find nobody costs no walk over the accounts for each.
        """
        demand = self._demand(wanted_by(call), now)
        if only is None:
            at, busy = self._shelves.prospect(demand, excluding=excluding)
            return NotBefore(at, busy)
        place = self._shelves.places.get(only)
        if place is None or only in excluding or place.shelf not in demand.shelves:
            return NotBefore(None, busy=False)
        return NotBefore(place.ready_at(call.model), place.busy(call.model))

    def began(self, lease: Lease, *, first_event_s: float, now: float) -> None:
        """Note that content has come, `first_event_s` after the attempt began.

        The upstream has taken the call. Only the first word on a lease counts.
        """
        number = lease.number
        if number in self._waiting:
            self._waiting.discard(number)
            place, _ = self._leased[number]
            lessons.begun(place.state, number, first_event_s, now=now)
            if place.stance is not Stance.STANDING:
                self._shelves.file(place, now=now)

    def observe(
        self,
        account_id: AccountId,
        view: QuotaView,
        *,
        model: str | None,
        now: float,
        overheard: bool = False,
    ) -> None:
        """Take in what an upstream said about an account's limits.

        `model` is that of the call whose reply it was, None if there was no call. What was
        `overheard` has been said to another process.
        """
        shelves = self._shelves
        place = shelves.places.get(account_id)
        if place is None:
            return
        if not overheard:
            self.company.observed(account_id, view, model)
        # Without a call it was asked for, and then it is the last word.
        quota.hear(place.state, view, pause_at=place.pause_at, now=now, final=model is None)
        self.runways.heard(place.state, now=now)
        if (
            model is not None
            and view.active_family is not None
            and self._families.learn(model, view.active_family)
        ):
            for other in shelves.places.values():
                if pause(other, self._families, now=now):
                    shelves.file(other, now=now)
        if pause(place, self._families, now=now) or shelves.timed:
            shelves.file(place, now=now)
            shelves.watch(place, now=now)

    def settle(self, lease: Lease, outcome: Outcome, *, now: float) -> None:
        """Give the lease back with what the attempt showed. A second settling is a defect."""
        number = lease.number
        place, model = self._leased.pop(number)
        state = place.state
        state.in_flight -= 1
        rng = self._rng
        if isinstance(outcome, Succeeded):
            if number in self._waiting:
                lessons.begun(state, number, outcome.first_event_s, now=now)
            family = self._families.known.get(model, MAIN_FAMILY)
            lessons.succeeded(state, outcome, number=number, family=family, now=now, rng=rng)
        else:
            used = lease.account.credential.generation
            paused = bool(place.pauses)
            lift(place, now=now)
            lessons.failed(state, outcome, generation=used, number=number, now=now, rng=rng)
            if paused:
                pause(place, self._families, now=now)
            self.company.failed(state, outcome, now=now)
        self._waiting.discard(number)
        self.changes.touch(state)
        if place.shelf is None and not state.in_flight:
            del self._leaving[state.account.id]
            self.changes.forget(state.account.id)
        self._shelves.file(place, now=now)

    def bind(self, key: str, account_id: AccountId, *, now: float) -> None:
        """Remember that the item or state named by `key` belongs to the account."""
        if self._owners.bind(key, account_id, now=now):
            self.company.bound(key, account_id, now=now, owned=True)

    def owner(self, key: str, *, now: float) -> AccountId | None:
        """Return the account that the item or state named by `key` belongs to."""
        return self._owners.find(key, now=now)

    def apply(self, accounts: Iterable[Account], *, now: float) -> None:
        """Take over the accounts as the store has them, in its order: new, changed and gone."""
        wanted = {account.id: account for account in accounts if account.enabled}
        for gone in [known for known in self._shelves.places if known not in wanted]:
            self._dismiss(gone, now)
        for ordinal, account in enumerate(wanted.values()):
            self._put(account, ordinal, now)
        self._ordinals = len(wanted)

    def put(self, account: Account, *, now: float) -> None:
        """Take over one account; a newer credential takes an expired account back.

        An older credential than the known one is not gone back to; the rest of the account is
        taken over all the same. A new account is the last in the operator's order.
        """
        if not account.enabled:
            self._dismiss(account.id, now)
            return
        place = self._shelves.places.get(account.id)
        if place is None:
            self._put(account, self._ordinals, now)
            self._ordinals += 1
        else:
            self._put(account, place.state.ordinal, now)

    def not_renewed(self, account_id: AccountId) -> None:
        """Let calls wait no longer for an account's new credential: getting one has failed."""
        place = self._shelves.places.get(account_id)
        if place is not None and place.state.renewing:
            place.state.renewing = False
            self._shelves.file(place, now=0.0)

    def reset(self, account_id: AccountId, *, now: float) -> None:
        """Forget every rest of an account, as an operator may order."""
        place = self._shelves.places.get(account_id)
        if place is not None:
            health.reset(place.state)
            self._shelves.file(place, now=now)

    def wake(self, *, now: float) -> int:
        """End the rests that are over and return how many; `lease` does so too."""
        return self._shelves.wake(now=now)

    def has_room(self, *, now: float) -> bool:
        """Tell whether any account at all can take a call now, if it serves the call."""
        self._shelves.wake(now=now)
        return self._shelves.has_room

    def can_take(self, wanted: Wanted, *, now: float) -> bool:
        """Tell whether some account can take such a call now."""
        return self._shelves.can_take(self._demand(wanted, now))

    def able(self, needs: frozenset[Need]) -> bool:
        """Tell whether any account is of a kind that can do this; True if there is none at all."""
        return self._shelves.able(needs)

    def account(self, account_id: AccountId) -> Account | None:
        """Return the account as it is known now."""
        place = self._shelves.places.get(account_id)
        return place.state.account if place else None

    def state(self, account_id: AccountId) -> AccountState | None:
        """Return all that is known of an account; read only."""
        place = self._shelves.places.get(account_id)
        return place.state if place else None

    @property
    def policy(self) -> Policy:
        """What the operator decided."""
        return self._shelves.policy

    @property
    def families(self) -> Mapping[str, str]:
        """Model to the limit that governs it, as learnt from replies; read only."""
        return self._families.known

    @property
    def next_wake_at(self) -> float | None:
        """When the next rest ends (epoch seconds), None if nothing rests."""
        return self._shelves.next_wake_at

    @property
    def states(self) -> Iterable[AccountState]:
        """All accounts, for those who show them; read only."""
        return [place.state for place in self._shelves.places.values()]

    @property
    def leases(self) -> int:
        """How many leases are out."""
        return len(self._leased)

    def _demand(self, wanted: Wanted, now: float) -> Demand:
        if now >= self._shelves.soonest:
            self._shelves.wake(now=now)
        return self._shelves.demand(wanted, now=now)

    def _bound(
        self,
        call: Call,
        demand: Demand,
        excluding: frozenset[AccountId],
        preferring: AccountId | None,
        now: float,
    ) -> Lease | None:
        """Lease the account that made the call's state, if it can take the call."""
        if preferring is not None and self._can(preferring, demand, excluding):
            return self._take(self._shelves.places[preferring], call, "preferred", now)
        for key in call.owner_keys:
            owner = self._owners.find(key, now=now)
            if owner is not None and self._can(owner, demand, excluding):
                return self._take(self._shelves.places[owner], call, "owner", now)
        if call.session_key is not None:
            home = self._affinity.find(call.session_key, now=now)
            if home is not None and self._can(home, demand, excluding):
                return self._take(self._shelves.places[home], call, "session", now)
        return None

    def _can(self, account_id: AccountId, demand: Demand, excluding: frozenset[AccountId]) -> bool:
        place = self._shelves.places.get(account_id)
        return (
            place is not None
            and account_id not in excluding
            and place.takes(demand.model)
            and place.shelf in demand.shelves
        )

    def _take(self, place: Place, call: Call, reason: str, now: float) -> Lease:
        number = self._number = self._number + 1
        state = place.state
        state.in_flight += 1
        state.requests += 1
        state.last_used_at = now
        state.turn = number
        self._leased[number] = (place, call.model)
        self._waiting.add(number)
        key = call.session_key
        if key is not None and self._affinity.bind(key, state.account.id, now=now):
            self.company.bound(key, state.account.id, now=now, owned=False)
        self.changes.touch(state)
        self._shelves.taken(place, now=now)
        return Lease(state.account, number, reason)

    def _put(self, account: Account, ordinal: int, now: float) -> None:
        place = self._shelves.places.get(account.id) or self._leaving.pop(account.id, None)
        if place is None:
            place = Place(AccountState(account))
            concurrency.opened(place.state)
        if place.shelf is None:
            place.state.share = self.company.share
        state, known = place.state, place.state.account
        if account.credential.generation < known.credential.generation:
            account = replace(account, credential=known.credential)
        state.account = account
        state.ordinal = ordinal
        if account.concurrency_max != known.concurrency_max:
            concurrency.bounded(state)
        health.heard(state, account.credential, before=known.credential, now=now)
        self._set_pause(place, self.policy, now)
        self._shelves.put(place, now=now)

    def _set_pause(self, place: Place, policy: Policy, now: float) -> None:
        pause_at = policy.pauses_at(place.state.account)
        # Otherwise every reload would undo what the operator has reset.
        if pause_at != place.pause_at:
            place.pause_at = pause_at
            pause_anew(place, self._families, now=now)

    def _dismiss(self, account_id: AccountId, now: float) -> None:
        place = self._shelves.remove(account_id, now=now)
        self.runways.forget(account_id)
        if place is not None and place.state.in_flight:
            self._leaving[account_id] = place
        else:
            self.changes.forget(account_id)
