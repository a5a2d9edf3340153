"""The operator of a simulated pool: brings the accounts, and changes things meanwhile."""

from collections.abc import Callable
from random import Random
from typing import assert_never

from msgspec.structs import replace

from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.pool.policy import Policy
from app.pool.pool import AccountPool
from app.simulation.checks import Judge
from app.simulation.defaults import windows
from app.simulation.load import HOUR_S
from app.simulation.plan import Accounts, Arrive, Change, Configure, Leave, Plan, Step
from app.simulation.renewals import Renewals
from app.simulation.timeline import Timeline
from app.simulation.upstream import SimulatedUpstream


def policy(plan: Plan) -> Policy:
    """Return the policy with which the pool starts."""
    return Policy(
        strategy=plan.gateway.strategy,
        pause_at=plan.gateway.pause_at,
        group_pause_at=plan.gateway.group_pause_at,
        tags=frozenset(tag for key in plan.load.keys for tag in key.tags),
        plans={model.name: frozenset(model.plans) for model in plan.load.models if model.plans},
    )


class Operator:
    """Enrols accounts and makes the plan's changes at their times."""

    def __init__(  # noqa: PLR0913 - keyword-only, the parts that the engine brings together
        self,
        *,
        time: Timeline,
        pool: AccountPool,
        upstream: SimulatedUpstream,
        renewals: Renewals,
        judge: Judge,
        rng: Random,
        changed: Callable[[], None],
    ) -> None:
        self._time = time
        self._pool = pool
        self._upstream = upstream
        self._renewals = renewals
        self._judge = judge
        self._rng = rng
        self._changed = changed
        self.accounts: dict[AccountId, Account] = {}
        """The accounts as they are configured now; credentials apart."""
        self.ordinals: dict[AccountId, int] = {}

    def start(self, plan: Plan) -> None:
        """Enrol the first accounts and plan the changes."""
        for batch in plan.accounts:
            self._enrol(batch)
        for change in plan.changes:
            if change.at_hour < plan.hours:
                self._time.plan(change.at_hour * HOUR_S, self._make, change)
        self._apply()

    def _enrol(self, batch: Accounts) -> None:
        prefix = batch.name or batch.plan or "account"
        quotas = windows(batch)
        for _ in range(batch.count):
            number = len(self.ordinals) + 1
            account = Account(
                AccountId(f"{prefix}-{number}"),
                f"{prefix}-{number}",
                AccountKind.CODEX,
                Credential(Secret("")),
                plan=batch.plan,
                priority=batch.priority,
                concurrency_max=batch.concurrency_max,
                models=batch.models,
                groups=batch.groups,
                tags=batch.tags,
                pause_at=batch.pause_at,
            )
            account = self._upstream.admit(account, quotas, at=self._time.at)
            self.ordinals[account.id] = number
            self.accounts[account.id] = account
            self._renewals.watch(account)

    def _apply(self) -> None:
        current = [self._renewals.newest(account) for account in self.accounts.values()]
        self._pool.apply(current, now=self._time.now)
        self._judge.look()

    def _make(self, change: Change) -> None:
        match change:
            case Arrive():
                self._enrol(change.accounts)
                self._apply()
            case Leave():
                self._take_out(change)
            case Configure():
                self._configure(change)
            case Step():
                self._time.set_clock(change.seconds)
                self._renewals.clock_was_set()
                self._judge.clock_was_set()
            case _:
                assert_never(change)
        self._changed()

    def _take_out(self, change: Leave) -> None:
        count = min(change.count, len(self.accounts) - 1)
        gone = self._rng.sample(sorted(self.accounts), count)
        away = [self.accounts.pop(account_id) for account_id in gone]
        self._apply()
        for account_id in gone:
            self._judge.forget(account_id)
        if change.back_after_minutes is not None:
            self._time.plan_in(change.back_after_minutes * 60.0, self._bring_back, away)

    def _bring_back(self, away: list[Account]) -> None:
        self.accounts |= {account.id: account for account in away}
        self._apply()
        self._changed()

    def _configure(self, change: Configure) -> None:
        current = self._pool.policy
        strategy = current.strategy if change.strategy is None else change.strategy
        pause_at = current.pause_at if change.pause_at is None else change.pause_at
        self._pool.configure(
            replace(current, strategy=strategy, pause_at=pause_at), now=self._time.now
        )
        if change.concurrency_max is not None:
            self.accounts = {
                account.id: replace(account, concurrency_max=change.concurrency_max)
                for account in self.accounts.values()
            }
            self._apply()
