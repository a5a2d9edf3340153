"""What the operator decided, read for one account."""

import pytest

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
