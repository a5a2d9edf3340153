"""Who could take a call, at what cost, and why everybody else could not: one walk. Pure.

The first reason that holds is the one that is told, and what the operator decided comes before what
the moment brought: an account of another group that also rests is "of another group". This is for
people who ask, so it may walk all accounts; selection itself never does, and nothing here changes
an account.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from heapq import nsmallest
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from app.domain.account import AccountId
from app.domain.call import Call
from app.domain.needs import NOTHING, Need, able
from app.domain.quota import MAIN_FAMILY
from app.domain.runtime import Strategy
from app.pool import quota, selection
from app.pool.policy import Policy
from app.pool.state import AccountState, Health

CANDIDATES_MAX: Final = 50
EXCLUSIONS_MAX: Final = 200


class Why(StrEnum):
    """Why an account could not take a call."""

    TRIED = "tried"
    """The call has been there, or stays away from it."""
    ELSEWHERE = "elsewhere"
    """What the call holds can only be read by another account."""
    BANNED = "banned"
    EXPIRED = "expired"
    KIND = "kind"
    """Upstreams of its kind can't do what the call needs."""
    MODEL = "model"
    """The operator's list of models for it has not this one."""
    PLAN = "plan"
    """Its plan has not this model."""
    GROUP = "group"
    TAG = "tag"
    RESTING = "resting"
    """After a limit or a fault, until `until`."""
    PAUSED = "paused"
    """Its quota is used up, or so far that the operator wants it left alone, until `until`."""
    MODEL_RESTS = "model_rests"
    FULL = "full"
    """It has as many calls in flight as it may now."""
    PRIORITY = "priority"
    """It could, but accounts of a higher priority can too."""


class Candidate(Struct, frozen=True):
    """An account that could take the call."""

    account_id: AccountId
    cost: float
    """By the pool's strategy; the lowest is taken first."""
    headroom: float
    """Share of its tightest quota window that is left, 0 to 1."""
    in_flight: int
    cap: int


class Exclusion(Struct, frozen=True):
    """An account that could not take the call."""

    account_id: AccountId
    why: Why
    until: float | None = None
    """Epoch seconds; None if time alone does not help."""


class Survey(Struct, frozen=True):
    """What a walk over all accounts found."""

    candidates: tuple[Candidate, ...] = ()
    """At most `CANDIDATES_MAX`, the cheapest first."""
    candidates_count: int = 0
    counts: Mapping[Why, int] = {}
    """How many accounts each reason excluded, the most frequent first."""
    looked_at: int = 0
    """How many accounts there were."""
    exclusions: tuple[Exclusion, ...] = ()
    """The first `EXCLUSIONS_MAX` of them, in the operator's order."""


class Surveyed(Protocol):
    """What of a pool is looked at; `app.pool.pool.AccountPool` has it."""

    @property
    def states(self) -> Iterable[AccountState]:
        """All accounts."""

    @property
    def policy(self) -> Policy:
        """What the operator decided."""

    @property
    def families(self) -> Mapping[str, str]:
        """Model to the limit that it is metered under."""


class Asked(Struct, frozen=True):
    """What a call asks of an account: calls that ask for the same are surveyed alike."""

    model: str
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    excluding: frozenset[AccountId]
    only: AccountId | None
    needs: frozenset[Need] = NOTHING


def asked(call: Call, *, excluding: frozenset[AccountId], only: AccountId | None) -> Asked:
    """Return what `call` asks for."""
    return Asked(call.model, call.groups, call.tags, excluding, only, call.needs)


def survey(pool: Surveyed, wanted: Asked, *, now: float, leased: AccountId | None = None) -> Survey:
    """Walk all accounts; `leased` has just been given the call, which is not counted yet."""
    policy = pool.policy
    fit: list[AccountState] = []
    excluded = _Excluded()
    for state in pool.states:
        seen = state
        if state.account.id == leased:
            seen = replace(state, in_flight=state.in_flight - 1)
        why = _closed(seen, wanted) or _unsuited(seen, wanted, policy) or _busy(seen, wanted, now)
        if why is None:
            fit.append(seen)
        else:
            excluded.add(seen, why, wanted)
    first = max((state.account.priority for state in fit), default=0)
    for state in fit:
        if state.account.priority < first:
            excluded.add(state, Why.PRIORITY, wanted)
    fit = [state for state in fit if state.account.priority == first]
    family = pool.families.get(wanted.model, MAIN_FAMILY)
    strategy = policy.strategy
    cheapest = nsmallest(CANDIDATES_MAX, fit, key=lambda s: _rank(s, strategy, family, now))
    ranked = sorted(excluded.counts.items(), key=lambda pair: -pair[1])
    return Survey(
        candidates=tuple(_candidate(state, strategy, family, now) for state in cheapest),
        candidates_count=len(fit),
        counts=dict(ranked),
        looked_at=len(fit) + sum(excluded.counts.values()),
        exclusions=tuple(excluded.first),
    )


class _Excluded:
    def __init__(self) -> None:
        self.counts: dict[Why, int] = {}
        self.first: list[Exclusion] = []

    def add(self, state: AccountState, why: Why, wanted: Asked) -> None:
        self.counts[why] = self.counts.get(why, 0) + 1
        if len(self.first) >= EXCLUSIONS_MAX:
            return
        until = None
        if why in (Why.RESTING, Why.PAUSED):
            until = state.rests_until
        elif why is Why.MODEL_RESTS:
            until = state.model_ready_at[wanted.model]
        self.first.append(Exclusion(state.account.id, why, until))


def _closed(state: AccountState, wanted: Asked) -> Why | None:
    """Return why this call, or any call, is not for this account."""
    account_id = state.account.id
    if account_id in wanted.excluding:
        return Why.TRIED
    if wanted.only is not None and account_id != wanted.only:
        return Why.ELSEWHERE
    if state.health is Health.BANNED:
        return Why.BANNED
    return Why.EXPIRED if state.health is Health.EXPIRED else None


def _unsuited(state: AccountState, wanted: Asked, policy: Policy) -> Why | None:
    """Return why the account is not of the kind that the call asks for."""
    account = state.account
    if not able(account.kind, wanted.needs):
        return Why.KIND
    if not policy.entitled(account, wanted.model):
        return Why.MODEL if account.models else Why.PLAN
    if wanted.groups and not any(name in account.groups for name in wanted.groups):
        return Why.GROUP
    if any(tag not in account.tags for tag in wanted.tags):
        return Why.TAG
    return None


def _busy(state: AccountState, wanted: Asked, now: float) -> Why | None:
    """Return why the account has to be waited for."""
    if state.rests_until > now:
        return Why.PAUSED if state.paused_until > state.ready_at else Why.RESTING
    if state.model_ready_at.get(wanted.model, 0.0) > now:
        return Why.MODEL_RESTS
    return Why.FULL if state.full else None


def _candidate(state: AccountState, strategy: Strategy, family: str, now: float) -> Candidate:
    return Candidate(
        account_id=state.account.id,
        cost=_rank(state, strategy, family, now)[0],
        headroom=quota.headroom(state, family=family, now=now),
        in_flight=state.in_flight,
        cap=state.cap,
    )


def _rank(state: AccountState, strategy: Strategy, family: str, now: float) -> tuple[float, ...]:
    """Return what the strategy goes by; its first part is the cost that is shown."""
    match strategy:
        case Strategy.BALANCED:
            return (selection.cost(state, family, now=now),)
        case Strategy.ROUND_ROBIN:
            return selection.idle_longest(state, now)
        case Strategy.LEAST_USED:
            return selection.least_used(state, now)
        case Strategy.REMAINING_QUOTA:
            return selection.remaining_quota(state, now)
        case _:
            return selection.fill_first(state, now)
