"""What the accounts offer: which models each of them may serve, and so which there are at all."""

from collections.abc import Mapping, Sequence

from msgspec import structs

from app.dialects.manifest import Card
from app.domain.account import Account, AccountId, AccountKind


def completed(
    accounts: Sequence[Account], learnt: Mapping[AccountId, tuple[str, ...]]
) -> list[Account]:
    """Return the accounts with the models that were learnt of those without a list of their own."""
    return [
        structs.replace(account, models=learnt[account.id])
        if account.id in learnt and not account.models
        else account
        for account in accounts
    ]


def configured(accounts: Sequence[Account]) -> frozenset[str]:
    """Return the models that accounts name, under the pool's names."""
    return frozenset(
        model for account in accounts for model in (*account.models, *account.model_map)
    )


def offered(cards: Sequence[Card], accounts: Sequence[Account]) -> Sequence[Card]:
    """Return the cards of models that the accounts may serve.

    Codex accounts may serve all of them, and so may keys of which it is not known yet. Without any
    account all are shown: what is missing then is an account, not a model.
    """
    enabled = [account for account in accounts if account.enabled]
    unlimited = not enabled or any(_may_have_any(account) for account in enabled)
    if unlimited:
        return cards
    named = configured(enabled)
    return [card for card in cards if card.slug in named]


def _may_have_any(account: Account) -> bool:
    if account.kind is AccountKind.CODEX:
        return True
    return account.kind is AccountKind.OPENAI and not account.models
