"""What the operator decided for the whole pool, as the pool needs it: one frozen value.

`app.compose` makes it from the runtime settings, the callers' keys and the model catalogue, and
gives it to `AccountPool.configure` whenever one of them has changed.
"""

from collections.abc import Mapping

from msgspec import Struct, field

from app.domain.account import Account
from app.domain.runtime import Strategy


class Policy(Struct, frozen=True):
    """How the pool chooses, and from when on an account is left alone."""

    strategy: Strategy = Strategy.BALANCED
    pause_at: float = 1.0
    """Share of a quota window at which an account is paused until the reset, 0 to 1."""
    group_pause_at: Mapping[str, float] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    """The tags that some caller's key asks for; others keep no accounts apart."""
    plans: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Model to the plans that may use it; every plan may use a model that is not named."""

    def pauses_at(self, account: Account) -> float:
        """Return the share of a window at which this account is paused."""
        if account.pause_at is not None:
            return account.pause_at
        shares = [
            self.group_pause_at[name] for name in account.groups if name in self.group_pause_at
        ]
        return min(shares, default=self.pause_at)

    def entitled(self, account: Account, model: str) -> bool:
        """Tell whether the account may serve `model` at all, by its list and its plan.

        An account whose plan is not known is tried: the upstream knows better.
        """
        if account.models:
            return model in account.models
        plans = self.plans.get(model)
        return plans is None or account.plan is None or account.plan in plans
