"""Small days drawn from a seed: every kind of fault and change, in pools of a few accounts."""

from random import Random

from app.domain.runtime import Strategy
from app.simulation.plan import (
    Accounts,
    Arrive,
    Burst,
    Change,
    Configure,
    Faults,
    Gateway,
    Key,
    Leave,
    Load,
    Model,
    Outage,
    Plan,
    Step,
    Storm,
    Window,
)

HOURS = 1.5
CALLS = 150
MODELS = (Model(name="m1", weight=3), Model(name="m2", plans=("plus", "pro")))
SPARK = Model(name="mini", family="spark")


def day(seed: int) -> Plan:
    """Return the plan of a seed: a few hours in which a great deal goes wrong."""
    rng = Random(f"day {seed}")
    strategies = list(Strategy)
    return Plan(
        accounts=tuple(_batch(rng, n) for n in range(rng.randint(1, 3))),
        load=_load(rng),
        faults=_faults(rng),
        changes=tuple(_change(rng) for _ in range(rng.randint(0, 5))),
        gateway=Gateway(
            strategy=rng.choice(strategies),
            pause_at=rng.choice((1.0, 1.0, 0.9, 0.6)),
            queue_max=rng.choice((3, 1_000)),
            attempts_max=rng.randint(1, 4),
            probe_interval_s=rng.choice((300.0, 1_800.0)),
        ),
        hours=HOURS,
        seed=seed,
    )


def _batch(rng: Random, number: int) -> Accounts:
    """Return an account or two; those of number 0 serve every call."""
    windows = [Window(minutes=30, requests=rng.randint(3, 25))]
    if rng.random() < 0.5:
        windows.append(Window(minutes=75, tokens=rng.randint(50_000, 400_000)))
    if rng.random() < 0.3:
        windows.append(Window(minutes=20, requests=rng.randint(2, 6), family="spark"))
    return Accounts(
        count=rng.randint(1, 2),
        name=f"n{number}",
        plan="pro" if number == 0 else rng.choice(("free", "plus", "pro", None)),
        concurrency_max=rng.choice((1, 3, 9, 9)),
        priority=rng.randint(0, 1),
        groups=("g",) if number == 0 else rng.choice(((), ("g",))),
        tags=("t",) if number == 0 else rng.choice(((), ("t",))),
        models=() if number == 0 else rng.choice(((), (), ("m1",))),
        pause_at=rng.choice((None, None, 0.8)),
        windows=tuple(windows) if rng.random() < 0.9 else (),
    )


def _load(rng: Random) -> Load:
    keys = [Key(name="a", weight=3)]
    if rng.random() < 0.4:
        keys.append(Key(name="b", groups=("g",)))
    if rng.random() < 0.3:
        keys.append(Key(name="c", tags=("t",)))
    bursts = []
    for minutes, factor in rng.sample(((4.0, 6.0), (0.5, 60.0), (0.1, 300.0)), rng.randint(0, 3)):
        bursts.append(Burst(at_hour=rng.random() * HOURS, minutes=minutes, factor=factor))
    more = sum(burst.minutes * burst.factor for burst in bursts) / 60.0 / HOURS
    return Load(
        calls_per_minute=CALLS / HOURS / 60.0 / (1.0 + more),
        bursts=tuple(bursts),
        tokens_median=5_000,
        stream_s_median=rng.choice((5.0, 40.0, 200.0)),
        first_event_s_median=rng.choice((0.5, 5.0, 20.0)),
        session_share=0.6,
        sessions_per_key=8,
        bound_share=rng.choice((0.0, 0.2)),
        keys=tuple(keys),
        models=(*MODELS, SPARK) if rng.random() < 0.5 else MODELS,
    )


def _faults(rng: Random) -> Faults:
    def share(most: float) -> float:
        return rng.random() * most if rng.random() < 0.5 else 0.0

    return Faults(
        burst_concurrency=rng.choice((None, 1, 3)),
        burst_share=share(0.1),
        overload_share=share(0.15),
        storms=tuple(Storm(at_hour=rng.random() * HOURS, minutes=5) for _ in range(2)),
        outages=(Outage(at_hour=rng.random() * HOURS, minutes=10, accounts_share=rng.random()),),
        broken_share=share(0.2),
        cut_share=share(0.1),
        silent_share=share(0.05),
        left_share=share(0.2),
        refused_share=share(0.05),
        unreadable_share=share(0.1),
        unnamed_resets_share=share(0.5),
        unsaid_quota_share=rng.choice((0.0, 0.5, 1.0)),
        token_refused_share=share(0.05),
        token_lifetime_minutes=rng.choice((None, 8.0, 30.0)),
        renewal_failure_share=share(0.5),
        revoked_share=share(0.05),
    )


def _change(rng: Random) -> Change:
    at_hour = rng.random() * HOURS
    match rng.randrange(5):
        case 0:
            return Arrive(at_hour=at_hour, accounts=_batch(rng, 9))
        case 1:
            return Leave(at_hour=at_hour)
        case 2:
            return Leave(at_hour=at_hour, back_after_minutes=1 + rng.random() * 20)
        case 3:
            return Configure(
                at_hour=at_hour,
                strategy=rng.choice((None, *Strategy)),
                pause_at=rng.choice((None, 1.0, 0.5)),
                concurrency_max=rng.choice((None, 1, 3)),
            )
        case _:
            return Step(at_hour=at_hour, seconds=rng.choice((-3_600.0, 3_600.0, 30.0)))
