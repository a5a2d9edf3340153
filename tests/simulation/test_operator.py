"""The operator of a simulated pool enrols accounts and changes things at their times."""

from app.domain.runtime import Strategy
from app.simulation.engine import Simulation
from app.simulation.operator import policy
from app.simulation.plan import (
    Accounts,
    Arrive,
    Configure,
    Gateway,
    Key,
    Leave,
    Load,
    Model,
    Plan,
    Step,
    Window,
)
from app.simulation.timeline import EPOCH


def played(*changes, hours=2.0, **fields):
    """Return a run with these changes, before its first step."""
    batch = Accounts(count=3, plan="pro", windows=(), **fields)
    load = Load(calls_per_minute=1)
    return Simulation(Plan(accounts=(batch,), load=load, changes=changes, hours=hours))


def until(simulation, at):
    """Let the run go on to that time and return the accounts of its pool."""
    if not simulation.operator.accounts:
        simulation.operator.start(simulation.plan)
    reached = []
    simulation.time.plan(at, reached.append)
    while not reached:
        simulation.time.step()
    return [state.account for state in simulation.pool.states]


def test_the_policy_has_what_the_plan_says():
    """Strategy, thresholds, the tags that keys ask for, and who may use a model."""
    made = policy(
        Plan(
            accounts=(Accounts(),),
            load=Load(
                keys=(Key(name="a", tags=("t",)), Key(name="b", tags=("u", "t"))),
                models=(Model(name="m1"), Model(name="m2", plans=("pro",))),
            ),
            gateway=Gateway(strategy=Strategy.FILL_FIRST, pause_at=0.5, group_pause_at={"g": 0.25}),
        )
    )
    assert made.strategy is Strategy.FILL_FIRST
    assert (made.pause_at, made.group_pause_at) == (0.5, {"g": 0.25})
    assert made.tags == frozenset({"t", "u"})
    assert made.plans == {"m2": frozenset({"pro"})}


def test_accounts_are_enrolled_as_the_plan_has_them():
    """Their names are their plan's, numbered."""
    fields = {
        "concurrency_max": 4,
        "priority": 2,
        "groups": ("g",),
        "tags": ("t",),
        "models": ("gpt-5",),
        "pause_at": 0.5,
    }
    accounts = until(played(**fields), 0.0)
    assert [each.id for each in accounts] == ["pro-1", "pro-2", "pro-3"]
    assert all({name: getattr(each, name) for name in fields} == fields for each in accounts)


def test_accounts_come_and_go():
    """Some for good, some for a while; the last one stays."""
    simulation = played(
        Arrive(at_hour=0.1, accounts=Accounts(name="new", windows=(Window(minutes=5, tokens=9),))),
        Leave(at_hour=0.2, count=2, back_after_minutes=6),
        Leave(at_hour=0.4, count=9),
    )
    assert len(until(simulation, 0.15 * 3_600)) == 4
    assert len(until(simulation, 0.25 * 3_600)) == 2
    assert len(until(simulation, 0.35 * 3_600)) == 4
    assert len(until(simulation, 0.45 * 3_600)) == 1


def test_settings_change_while_calls_are_served():
    """What a change does not name stays."""
    simulation = played(
        Configure(at_hour=0.1, strategy=Strategy.LEAST_USED),
        Configure(at_hour=0.2, pause_at=0.5, concurrency_max=2),
    )
    assert {each.concurrency_max for each in until(simulation, 0.15 * 3_600)} == {32}
    assert simulation.pool.policy.strategy is Strategy.LEAST_USED
    assert simulation.pool.policy.pause_at == 1.0
    assert {each.concurrency_max for each in until(simulation, 0.25 * 3_600)} == {2}
    assert simulation.pool.policy.strategy is Strategy.LEAST_USED
    assert simulation.pool.policy.pause_at == 0.5


def test_the_clock_steps():
    """The gateway's, not the upstream's."""
    simulation = played(Step(at_hour=0.1, seconds=-600.0))
    until(simulation, 0.2 * 3_600)
    assert simulation.time.now == EPOCH + simulation.time.at - 600.0


def test_what_lies_behind_the_end_does_not_happen():
    """The run ends when the plan says."""
    simulation = played(Leave(at_hour=3.0, count=2))
    simulation.run()
    assert len(list(simulation.pool.states)) == 3
