"""The accounts as an operator sees them: found, sorted and paged in memory, ten thousand of them.

What is stored and what the pool observes are put together here, one row an account. Looking through
all of them is done in slices, so that streams are served between; only the order itself is made in
one go, of plain values, which takes a few milliseconds.
"""

import asyncio
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from app.admin.rates import Rates
from app.domain.account import Account, AccountId
from app.domain.enrolment import StoredAccount
from app.pool import quota
from app.pool.meters import window_name
from app.pool.state import AccountState, Health
from app.ports import Clock

SLICE: Final = 500
PAGE_MAX: Final = 500


class Status(StrEnum):
    """How an account is, in one word."""

    READY = "ready"
    COOLING = "cooling"
    PROBING = "probing"
    EXPIRED = "expired"
    BANNED = "banned"
    DISABLED = "disabled"
    DAMAGED = "damaged"
    """Its secrets do not open."""


class Sort(StrEnum):
    """What accounts can be put in order by."""

    NAME = "name"
    PRIORITY = "priority"
    STATUS = "status"
    USED = "used"
    RESET = "reset"
    IN_FLIGHT = "in_flight"
    REQUESTS = "requests"
    TOKENS = "tokens"
    REQUESTS_PER_MINUTE = "requests_per_minute"
    ERROR_RATIO = "error_ratio"
    LAST_USED = "last_used_at"
    CREATED = "created_at"


class QuotaRow(Struct, frozen=True):
    """One quota window: how much of it is used, and when it is empty again."""

    family: str
    minutes: int
    name: str
    """Its length for people: `5h`, `7d`."""
    used_ratio: float
    """0 to 10; 1 is full."""
    reset_at: float | None
    """Epoch seconds; null where the upstream named none, and once it has passed."""
    tokens: int
    requests: int


class AccountRow(Struct, frozen=True):
    """An account: what was set, what is stored, what was observed. No secret is among it."""

    id: AccountId
    name: str
    kind: str
    status: Status
    reason: str
    """Why it is not ready, for people."""
    until: float | None
    """When its rest ends, epoch seconds; null if time alone does not help, or it does not rest."""
    email: str | None
    plan: str | None
    chatgpt_account_id: str | None
    base_url: str | None
    enabled: bool
    priority: int
    concurrency_max: int
    models: tuple[str, ...]
    model_map: dict[str, str]
    """Models that it serves under another name: the pool's name to its own."""
    organization: str | None
    project: str | None
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    pause_at: float | None
    has_proxy: bool
    version: int
    """Send it back with a change."""
    created_at: float
    renewed_at: float
    expires_at: float | None
    renewable: bool
    refused_code: str | None
    """How its last renewal was refused."""
    in_flight: int
    capacity: int
    """How many calls it is given at a time now."""
    windows: list[QuotaRow]
    model_rests: dict[str, float]
    """Models that rest, and until when."""
    requests: int
    """Attempts, failures and tokens since this worker began."""
    failures: int
    tokens: int
    requests_per_minute: float
    error_ratio: float | None
    last_used_at: float | None


class AccountQuery(Struct, frozen=True):
    """Which accounts are wanted, in which order; empty means any."""

    text: str = ""
    """A part of the name, the e-mail address or the id."""
    status: tuple[Status, ...] = ()
    kind: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    sort: Sort = Sort.NAME
    descending: bool = False


class Found(Struct, frozen=True):
    """A page of accounts; `statuses` counts all accounts that there are."""

    rows: list[AccountRow]
    total: int
    statuses: dict[str, int]


class Roster:
    """Reads the accounts of one worker."""

    def __init__(
        self,
        *,
        stored: Callable[[], Mapping[AccountId, StoredAccount]],
        state: Callable[[AccountId], AccountState | None],
        rates: Rates,
        clock: Clock,
    ) -> None:
        self._stored = stored
        self._state = state
        self._rates = rates
        self._clock = clock

    def ids(self) -> list[AccountId]:
        """Return all accounts, in the operator's order."""
        return list(self._stored())

    def stored(self, account_id: AccountId) -> StoredAccount | None:
        """Return an account as it was loaded last."""
        return self._stored().get(account_id)

    def row(self, account_id: AccountId) -> AccountRow | None:
        """Return one account."""
        found = self._stored().get(account_id)
        if found is None:
            return None
        return self._row(found, self._state(account_id), self._clock.now())

    def mark(self, account_id: AccountId) -> tuple[object, ...]:
        """Return what changes with an account, to be compared with what it was; cheap."""
        state = self._state(account_id)
        if state is None:
            return ()
        return (state.health, state.in_flight, state.requests, state.ready_at, state.paused_until,
                state.heard_at, state.failures, state.account.credential.generation)  # fmt: skip

    async def statuses(self) -> dict[str, int]:
        """Return how many accounts are in which state."""
        counts = dict.fromkeys((each.value for each in Status), 0)
        for number, (account_id, found) in enumerate(list(self._stored().items()), start=1):
            if not number % SLICE:
                await asyncio.sleep(0)
            counts[_status(found, self._state(account_id)).value] += 1
        return counts

    async def matching(self, wanted: AccountQuery) -> list[AccountId]:
        """Return the accounts that are wanted, in no order."""
        found, _ = await self._find(wanted)
        return [account_id for _, account_id in found]

    async def page(self, wanted: AccountQuery, *, offset: int, limit: int) -> Found:
        """Return `limit` accounts, `PAGE_MAX` at most, after the first `offset`."""
        found, statuses = await self._find(wanted)
        found.sort(reverse=wanted.descending)
        rows = [self.row(each) for _, each in found[offset : offset + max(1, min(limit, PAGE_MAX))]]
        return Found([row for row in rows if row is not None], len(found), statuses)

    async def _find(
        self, wanted: AccountQuery
    ) -> tuple[list[tuple[tuple[float, str], AccountId]], dict[str, int]]:
        """Return the wanted accounts with what they are ordered by, and how all of them are."""
        counts = dict.fromkeys((each.value for each in Status), 0)
        found: list[tuple[tuple[float, str], AccountId]] = []
        now, text = self._clock.now(), wanted.text.strip().lower()
        for number, (account_id, stored) in enumerate(list(self._stored().items()), start=1):
            if not number % SLICE:
                await asyncio.sleep(0)
            state = self._state(account_id)
            status = _status(stored, state)
            counts[status.value] += 1
            if wanted.status and status not in wanted.status:
                continue
            if _matches(stored.account, wanted, text):
                found.append((self._rank(stored, state, wanted.sort, now), account_id))
        return found, counts

    def _rank(
        self, stored: StoredAccount, state: AccountState | None, sort: Sort, now: float
    ) -> tuple[float, str]:
        account = stored.account
        match sort:
            case Sort.NAME:
                value = 0.0
            case Sort.PRIORITY:
                value = account.priority
            case Sort.STATUS:
                value = _STATUS_RANK[_status(stored, state)]
            case Sort.CREATED:
                value = stored.created_at
            case Sort.REQUESTS_PER_MINUTE:
                value = self._rates.a_minute(account.id, now=now)
            case Sort.ERROR_RATIO:
                value = self._rates.errors(account.id, now=now) or 0.0
            case _:
                value = 0.0 if state is None else _observed(state, sort, now)
        return value, account.name.lower()

    def _row(self, stored: StoredAccount, state: AccountState | None, now: float) -> AccountRow:
        account = state.account if state else stored.account
        rests = state is not None and state.rests_until > now
        return AccountRow(
            id=account.id,
            name=account.name,
            kind=account.kind.value,
            status=_status(stored, state),
            reason=state.reason if state else "",
            until=state.rests_until if state and rests else None,
            email=account.email,
            plan=account.plan,
            chatgpt_account_id=account.chatgpt_account_id,
            base_url=account.base_url,
            enabled=stored.account.enabled,
            priority=account.priority,
            concurrency_max=account.concurrency_max,
            models=account.models,
            model_map=dict(account.model_map),
            organization=account.organization,
            project=account.project,
            groups=account.groups,
            tags=account.tags,
            pause_at=account.pause_at,
            has_proxy=account.proxy_url is not None,
            version=stored.version,
            created_at=stored.created_at,
            renewed_at=stored.renewed_at,
            expires_at=account.credential.expires_at,
            renewable=account.credential.renewable,
            refused_code=stored.refused_code,
            in_flight=state.in_flight if state else 0,
            capacity=state.cap if state else 0,
            windows=_windows(state, now) if state else [],
            model_rests=_rests(state, now) if state else {},
            requests=state.requests if state else 0,
            failures=state.failures if state else 0,
            tokens=state.tokens if state else 0,
            requests_per_minute=round(self._rates.a_minute(account.id, now=now), 2),
            error_ratio=self._rates.errors(account.id, now=now),
            last_used_at=(state.last_used_at or None) if state else None,
        )


def _status(stored: StoredAccount, state: AccountState | None) -> Status:
    if stored.damaged:
        return Status.DAMAGED
    if not stored.account.enabled or state is None:
        return Status.DISABLED
    return _OF_HEALTH[state.health]


_OF_HEALTH: Final = {health: Status(health.value) for health in Health}
_STATUS_RANK: Final = {status: float(place) for place, status in enumerate(Status)}


def _matches(account: Account, wanted: AccountQuery, text: str) -> bool:
    if wanted.kind and account.kind.value not in wanted.kind:
        return False
    if wanted.plan and (account.plan or "") not in wanted.plan:
        return False
    if wanted.group and not any(name in account.groups for name in wanted.group):
        return False
    if not all(name in account.tags for name in wanted.tag):
        return False
    if not text:
        return True
    return (
        text in account.name.lower() or text in (account.email or "").lower() or text in account.id
    )


def _observed(state: AccountState, sort: Sort, now: float) -> float:
    match sort:
        case Sort.USED:
            live = (g.used_ratio for g in state.windows.values() if quota.ends_at(g) > now)
            return max(live, default=0.0)
        case Sort.RESET:
            resets = (g.reset_at for g in state.windows.values() if g.reset_at and g.reset_at > now)
            return min(resets, default=0.0)
        case Sort.IN_FLIGHT:
            return state.in_flight
        case Sort.TOKENS:
            return state.tokens
        case Sort.LAST_USED:
            return state.last_used_at
        case _:
            return state.requests


def _windows(state: AccountState, now: float) -> list[QuotaRow]:
    found = []
    for (family, minutes), gauge in sorted(state.windows.items()):
        over = quota.ends_at(gauge) <= now
        named = gauge.reset_at if gauge.reset_at is not None and gauge.reset_at > now else None
        found.append(
            QuotaRow(
                family=family,
                minutes=minutes,
                name=window_name(minutes),
                used_ratio=0.0 if over else gauge.used_ratio,
                reset_at=named,
                tokens=0 if over else gauge.tokens,
                requests=0 if over else gauge.requests,
            )
        )
    return found


def _rests(state: AccountState, now: float) -> dict[str, float]:
    return {model: until for model, until in state.model_ready_at.items() if until > now}
