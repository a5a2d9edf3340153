"""Why a call was given this account, or none: kept for the last so many calls. Pure.

An explanation walks all accounts, so it is bounded three times: by the operator's choice of what is
explained, by sharing (calls that ask for the same within a second get the same lists, at most a
second old), and by a budget of accounts that are looked at in a second. A storm of refusals that is
past the budget is explained without lists, and says so. A selection is described as if its lease
had not been taken yet; `turn` and `last_used_at` of the chosen account are already the new ones.
"""

from collections import deque
from typing import Final

from msgspec import Struct

from app.domain.account import AccountId
from app.domain.call import Call
from app.domain.caller import KeyId
from app.domain.runtime import Explain, Strategy
from app.pool.pool import Lease
from app.pool.survey import Asked, Survey, Surveyed, asked, survey

ENTRIES_MAX: Final = 1_000
"""About 15 MiB if every one of them had lists of its own, of full length."""
LOOKS_MAX: Final = 10_000
"""Accounts looked at in one second, at one to three microseconds each. The last walk of a second
may go beyond it."""


class Explanation(Struct, frozen=True):
    """One decision of the pool."""

    at: float
    """Epoch seconds."""
    call_id: str
    caller_id: KeyId
    model: str
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    strategy: Strategy
    account_id: AccountId | None
    """The account that was chosen; None for a refusal."""
    code: str | None
    """The public code of the refusal; None for a selection."""
    reason: str
    """Why this account; for a refusal what excluded most accounts."""
    surveyed_at: float | None
    """When the lists below were made, epoch seconds; None if there was no time for them."""
    survey: Survey


class Explanations:
    """The last explanations, at most `entries_max`; `mode` may change at any time."""

    def __init__(self, *, entries_max: int = ENTRIES_MAX, mode: Explain = Explain.REFUSALS) -> None:
        self.mode = mode
        self._kept: deque[Explanation] = deque(maxlen=entries_max)
        self._second = 0
        self._looks = 0
        self._surveys: dict[Asked, _Surveyed] = {}
        """Those of this second; the budget of looks bounds them."""

    def __len__(self) -> int:
        return len(self._kept)

    def refused(
        self,
        pool: Surveyed,
        call: Call,
        *,
        excluding: frozenset[AccountId],
        code: str,
        now: float,
        only: AccountId | None = None,
    ) -> None:
        """Explain why `call` was refused with `code`, unless nothing is to be explained."""
        if self.mode is Explain.OFF:
            return
        wanted = asked(call, excluding=excluding, only=only)
        surveyed = self._survey(pool, wanted, now)
        reason = next(iter(surveyed.found.counts), "")
        decision = _Decision(pool.policy.strategy, None, code, reason)
        self._kept.append(_explanation(call, decision, surveyed, now))

    def selected(
        self,
        pool: Surveyed,
        call: Call,
        lease: Lease,
        *,
        now: float,
        excluding: frozenset[AccountId] = frozenset(),
    ) -> None:
        """Explain why `lease` was chosen, if selections are to be explained.

        Call it as soon as the lease is there: what else happens to the account is seen.
        """
        if self.mode is not Explain.ALL:
            return
        wanted = asked(call, excluding=excluding, only=None)
        account_id = lease.account.id
        surveyed = self._survey(pool, wanted, now, leased=account_id)
        decision = _Decision(pool.policy.strategy, account_id, None, lease.reason)
        self._kept.append(_explanation(call, decision, surveyed, now))

    def find(self, call_id: str) -> tuple[Explanation, ...]:
        """Return what is kept about a call, one for each decision, the latest last."""
        return tuple(kept for kept in self._kept if kept.call_id == call_id)

    def recent(self, count: int) -> tuple[Explanation, ...]:
        """Return the latest explanations, the latest first."""
        return tuple(kept for _, kept in zip(range(count), reversed(self._kept), strict=False))

    def _survey(
        self, pool: Surveyed, wanted: Asked, now: float, *, leased: AccountId | None = None
    ) -> "_Surveyed":
        if int(now) != self._second:
            self._second = int(now)
            self._looks = 0
            self._surveys.clear()
        # What a lease changed is taken back for the chosen account alone, so nobody shares it.
        kept = self._surveys.get(wanted) if leased is None else None
        if kept is not None:
            return kept
        if self._looks >= LOOKS_MAX:
            return _Surveyed(None, Survey())
        surveyed = _Surveyed(now, survey(pool, wanted, now=now, leased=leased))
        self._looks += 1 + surveyed.found.looked_at
        if leased is None:
            self._surveys[wanted] = surveyed
        return surveyed


class _Decision(Struct, frozen=True):
    strategy: Strategy
    account_id: AccountId | None
    code: str | None
    reason: str


class _Surveyed(Struct, frozen=True):
    at: float | None
    found: Survey


def _explanation(call: Call, decision: _Decision, surveyed: _Surveyed, now: float) -> Explanation:
    return Explanation(
        at=now,
        call_id=call.id,
        caller_id=call.caller_id,
        model=call.model,
        groups=call.groups,
        tags=call.tags,
        strategy=decision.strategy,
        account_id=decision.account_id,
        code=decision.code,
        reason=decision.reason,
        surveyed_at=surveyed.at,
        survey=surveyed.found,
    )
