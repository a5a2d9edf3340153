"""What the operator decided, read for one account."""

import pytest

from app.domain.account import AccountKind
from app.pool.policy import Policy
from tests.fakes.accounts import account

PLANS = {"m2": frozenset({"plus", "pro"})}


@pytest.mark.parametrize(("changes", "pause_at"), [
    ({}, 0.95),
    ({"groups": ("unnamed",)}, 0.95),
    ({"groups": ("g1",)}, 0.8),
    ({"groups": ("g1", "g2", "unnamed")}, 0.6),
    ({"groups": ("g1", "g2"), "pause_at": 0.9}, 0.9),
])  # fmt: skip
def test_where_an_account_is_paused(changes, pause_at):
    """As it was set itself, or by its strictest group, or for the whole pool."""
    policy = Policy(pause_at=0.95, group_pause_at={"g1": 0.8, "g2": 0.6})
    assert policy.pauses_at(account(**changes)) == pause_at


@pytest.mark.parametrize(("changes", "model", "entitled"), [
    ({"plan": "free"}, "m1", True),
    ({"plan": "free"}, "m2", False),
    ({"plan": "pro"}, "m2", True),
    ({"plan": None}, "m2", True),
    ({"plan": "free", "models": ("m2",)}, "m2", True),
    ({"plan": "pro", "models": ("m1",)}, "m2", False),
])  # fmt: skip
def test_which_models_an_account_may_serve(changes, model, entitled):
    """Those that it is limited to, or those of its plan; the upstream knows an unknown one."""
    assert Policy(plans=PLANS).entitled(account(**changes), model) is entitled


OPENAI, COMPATIBLE = {"kind": AccountKind.OPENAI}, {"kind": AccountKind.COMPATIBLE}


@pytest.mark.parametrize(("changes", "model", "entitled"), [
    ({}, "own", False),
    ({"models": ("own",)}, "own", True),
    (OPENAI, "own", False),
    (OPENAI, "m1", True),
    (OPENAI, "m2", True),
    (OPENAI | {"models": ("m1",)}, "m2", False),
    (OPENAI | {"model_map": {"m2": "x"}, "models": ("m1",)}, "m2", True),
    (COMPATIBLE, "m1", False),
    (COMPATIBLE | {"models": ("own",)}, "own", True),
    (COMPATIBLE | {"model_map": {"m1": "own"}}, "m1", True),
    (COMPATIBLE | {"model_map": {"m1": "own"}}, "own", False),
    ({"plan": "free", "model_map": {"m2": "x"}}, "m2", True),
    ({"plan": "free", "model_map": {"m2": "x"}}, "m1", True),
])  # fmt: skip
def test_which_models_an_account_of_a_kind_may_serve(changes, model, entitled):
    """What only some accounts name is theirs alone; names of their own are not the pool's."""
    policy = Policy(plans=PLANS, named_only=frozenset({"own"}))
    assert policy.entitled(account(**changes), model) is entitled
