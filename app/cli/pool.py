"""`codex2api pool`: what the pool of accounts would do under a load.

A simulation asks nobody and changes nothing. Without a plan and without `--accounts` it takes the
accounts of the store as they are configured; what they may spend is nowhere published, so it is
assumed by their plan, and the answer says so.
"""

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import click
from msgspec.structs import asdict

from app.cli.command import answer, json_option, table, with_store
from app.domain.account import Account
from app.domain.runtime import Strategy
from app.settings import Settings
from app.simulation.defaults import assumed
from app.simulation.ledger import BUCKETS
from app.simulation.plan import (
    ACCOUNTS_MAX,
    PLAN_BYTES_MAX,
    Accounts,
    Plan,
    PlanError,
    changed,
    decode,
)
from app.simulation.plot import Row, chart
from app.simulation.report import Result, best, compare
from app.simulation.violation import Violation
from app.store.store import Store

_ALL = "all"
_WIDTH_MAX = 100


@click.group()
def pool() -> None:
    """Find out what the accounts can carry."""


@pool.command()
@click.argument("plan", type=click.File("rb"), required=False)
@click.option("--accounts", type=click.IntRange(1, ACCOUNTS_MAX), help="So many equal accounts.")
@click.option("--account-plan", default="plus", show_default=True, help="The plan of those.")
@click.option("--calls-per-minute", type=float, help="The load, on average.")
@click.option("--hours", type=float, help="How long; a day by default.")
@click.option(
    "--strategy",
    type=click.Choice([*(each.value for each in Strategy), _ALL]),
    default=_ALL,
    show_default=True,
)
@click.option("--seed", type=int, help="Another seed draws other calls and faults.")
@json_option
def simulate(  # noqa: PLR0913 - one argument an option
    *,
    plan: BinaryIO | None,
    accounts: int | None,
    account_plan: str,
    calls_per_minute: float | None,
    hours: float | None,
    strategy: str,
    seed: int | None,
    as_json: bool,
) -> None:
    """Play a load on accounts: how long they last, what is refused, which strategy is best.

    PLAN is a TOML or JSON file ('-' for stdin) with accounts, load, faults and changes. Without
    it and without --accounts the accounts of the store are taken. The same plan and seed always
    give the same answer.
    """
    if plan is not None and accounts is not None:
        raise click.UsageError("Give a PLAN or --accounts, not both.")
    try:
        wanted = _wanted(plan, accounts, account_plan)
        wanted = _adjusted(wanted, calls_per_minute, hours, seed)
    except PlanError as error:
        raise click.ClickException(str(error)) from error
    strategies = list(Strategy) if strategy == _ALL else [Strategy(strategy)]
    with click.progressbar(
        length=BUCKETS * len(strategies), label="Simulating", file=sys.stderr, hidden=as_json
    ) as bar:
        try:
            results = compare(wanted, strategies, on_progress=lambda: bar.update(1))
        except Violation as error:
            raise click.ClickException(
                f"The pool broke a rule of its own, which is a defect: {error}. "
                f"Please report it with the plan and the seed {wanted.seed}."
            ) from error
    value = {
        "plan": wanted,
        "assumed_quota_of_plans": assumed(wanted.accounts),
        "best": best(results).strategy,
        "results": [asdict(each) for each in results],
    }
    answer(value, as_json=as_json, lines=_lines(wanted, results))


def _wanted(plan: BinaryIO | None, accounts: int | None, account_plan: str) -> Plan:
    if plan is not None:
        name = Path(getattr(plan, "name", "stdin")).name
        return decode(plan.read(PLAN_BYTES_MAX + 1), name=name)
    if accounts is not None:
        return Plan(accounts=(Accounts(count=accounts, plan=account_plan),))
    stored = with_store(_stored)
    if not stored:
        raise click.ClickException("The store has no accounts; give --accounts or a PLAN.")
    return Plan(accounts=_batches(stored))


async def _stored(store: Store, _settings: Settings) -> list[Account]:
    return [each for each in await store.accounts.list() if each.enabled]


def _batches(stored: Sequence[Account]) -> tuple[Accounts, ...]:
    """Return the accounts as a plan has them: equal ones together."""
    kinds = Counter(
        Accounts(
            plan=each.plan,
            concurrency_max=each.concurrency_max,
            priority=each.priority,
            groups=each.groups,
            tags=each.tags,
            models=each.models,
            pause_at=each.pause_at,
        )
        for each in stored
    )
    return tuple(
        Accounts(**{**asdict(kind), "count": count})  # the fields are those of the same struct
        for kind, count in kinds.items()
    )


def _adjusted(
    plan: Plan, calls_per_minute: float | None, hours: float | None, seed: int | None
) -> Plan:
    load = asdict(plan.load)
    if calls_per_minute is not None:
        load["calls_per_minute"] = calls_per_minute
    return changed(
        plan,
        load=load,
        hours=plan.hours if hours is None else hours,
        seed=plan.seed if seed is None else seed,
    )


def _lines(plan: Plan, results: Sequence[Result]) -> list[str]:
    count = sum(batch.count for batch in plan.accounts)
    wished = results[0].wished_tokens
    calls = f"{results[0].calls} calls with {_amount(wished)} tokens"
    lines = [f"{count} accounts, {calls} in {plan.hours:g} hours, seed {plan.seed}."]
    plans = assumed(plan.accounts)
    if plans:
        lines.append(
            f"What accounts of these plans may spend is assumed: {', '.join(plans)}; "
            "a PLAN can say it."
        )
    lines += ["", *_table(results), "", *_plot(plan, results), ""]
    return [*lines, _conclusion(best(results))]


def _table(results: Sequence[Result]) -> list[str]:
    head = (
        "STRATEGY",
        "SERVED",
        "REFUSED",
        "BROKEN",
        "WAIT P50, P99",
        "TOKENS",
        "LASTS",
        "REGRET",
    )
    rows = [
        (
            each.strategy.value,
            _share(each.served, each.calls),
            _share(each.refused_count, each.calls),
            _share(each.broken, each.calls),
            f"{each.wait_p50_s:.1f}, {each.wait_p99_s:.1f} s",
            _amount(each.tokens),
            "all the time" if each.exhausted_at_hour is None else f"{each.exhausted_at_hour:.1f} h",
            f"{100 * each.regret:.1f} %",
        )
        for each in results
    ]
    refusals = [
        f"{each.strategy.value}: refused " + ", ".join(f"{n} {code}" for code, n in refused)
        for each in results
        if (refused := sorted(each.refused.items(), key=lambda pair: -pair[1]))
    ]
    return [*table(head, rows), *(["", *refusals] if refusals else [])]


def _plot(plan: Plan, results: Sequence[Result]) -> list[str]:
    width = min(shutil.get_terminal_size((_WIDTH_MAX, 24)).columns, _WIDTH_MAX)
    used = [
        Row(each.strategy.value, each.used, f"{100 * each.used[-1]:.0f} % at the end")
        for each in results
    ]
    lines = ["Quota used, mean of the accounts (full block: all)"]
    lines += chart(used, top=1.0, hours=plan.hours, width=width)
    most = max(max(each.refused_calls) for each in results)
    if most:
        minutes = plan.hours * 60 / BUCKETS
        refused = [
            Row(each.strategy.value, each.refused_calls, f"{each.refused_count} in all")
            for each in results
        ]
        lines += ["", f"Calls refused (full block: {most} in {minutes:g} minutes)"]
        lines += chart(refused, top=most, hours=plan.hours, width=width)
    return lines


def _conclusion(winner: Result) -> str:
    first_at = winner.exhausted_at_hour
    if first_at is None:
        lasts = "no call is refused because every account is at its limit"
    else:
        lasts = (
            f"calls are refused for the limits from {first_at:.1f} h on, "
            f"for {winner.limited_hours:.1f} h in all"
        )
    return f"Best: {winner.strategy.value}; {lasts}."


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"


def _amount(tokens: int) -> str:
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if tokens >= size:
            return f"{tokens / size:.1f} {unit}"
    return str(tokens)
