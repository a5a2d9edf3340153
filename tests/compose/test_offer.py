"""Tests of app.compose.offer."""

import pytest

from app.compose.offer import completed, configured, offered
from app.dialects.manifest import CARDS
from app.domain.account import AccountKind
from tests.fakes.accounts import account

OPENAI, COMPATIBLE = AccountKind.OPENAI, AccountKind.COMPATIBLE


def test_what_was_learnt_stands_in_for_a_list_that_nobody_gave():
    """The operator's own list counts more."""
    accounts = [account("a", kind=OPENAI), account("b", kind=OPENAI, models=("own",)), account("c")]
    found = completed(accounts, {"a": ("m1",), "b": ("m2",)})
    assert [each.models for each in found] == [("m1",), ("own",), ()]
    assert found[2] is accounts[2]


def test_a_mapped_name_is_one_that_can_be_asked_for():
    """The account's own name for it is not."""
    accounts = [account(models=("m1",), model_map={"gpt-5.5": "qwen3"})]
    assert configured(accounts) == {"m1", "gpt-5.5"}


@pytest.mark.parametrize(
    ("accounts", "everything"),
    [
        ([], True),
        ([account("a", enabled=False, kind=COMPATIBLE, models=("m",))], True),
        ([account("a"), account("b", kind=COMPATIBLE, models=("m",))], True),
        ([account("a", kind=OPENAI)], True),
        ([account("a", kind=OPENAI, models=("gpt-5.5", "m"))], False),
        ([account("a", kind=COMPATIBLE, model_map={"gpt-5.5": "m"})], False),
    ],
)
def test_only_models_that_somebody_may_serve_are_shown(accounts, everything):
    """All of them where Codex accounts are, or keys of which it is not known yet."""
    shown = [card.slug for card in offered(CARDS, accounts)]
    assert shown == ([card.slug for card in CARDS] if everything else ["gpt-5.5"])
