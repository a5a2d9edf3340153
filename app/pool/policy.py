"""What the operator decided for the whole pool, as the pool needs it: one frozen value.

`app.compose` makes it from the runtime settings, the callers' keys and the model catalogue, and
gives it to `AccountPool.configure` whenever one of them has changed.
"""

from collections.abc import Mapping

from msgspec import Struct, field

from app.domain.account import Account, AccountKind
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
    named_only: frozenset[str] = frozenset()
    """Models that are nobody's but those accounts' that name them."""

    def pauses_at(self, account: Account) -> float:
        """Return the share of a window at which this account is paused."""
        if account.pause_at is not None:
            return account.pause_at
        shares = [
            self.group_pause_at[name] for name in account.groups if name in self.group_pause_at
        ]
        return min(shares, default=self.pause_at)

    def entitled(self, account: Account, model: str) -> bool:
        """Tell whether the account may serve `model` at all, by its lists, its kind and its plan.

        An account whose plan is not known is tried: the upstream knows better. A key of the
        platform without a list may have any model, a compatible server what is known of it.
        """
        if account.models or model in account.model_map:
            return model in account.models or model in account.model_map
        if model in self.named_only:
            return False
        if account.kind is not AccountKind.CODEX:
            return account.kind is AccountKind.OPENAI
        plans = self.plans.get(model)
        return plans is None or account.plan is None or account.plan in plans
