"""What a run came to, in figures, and which strategy did best.

The measure is what was served against an oracle that knows everything and wastes nothing: it would
have served all that was wished for, or all that the windows let through, whichever is less. What it
misses is the regret. A strategy can't be blamed for a window that nobody needed.
"""

from collections.abc import Callable, Sequence
from math import isfinite

from msgspec import Struct
from msgspec.structs import replace

from app.domain.runtime import Strategy
from app.simulation.engine import Simulation
from app.simulation.ledger import Ledger
from app.simulation.load import HOUR_S
from app.simulation.plan import Plan


class Result(Struct, frozen=True, kw_only=True):
    """One strategy's run."""

    strategy: Strategy
    calls: int
    served: int
    refused: dict[str, int]
    """Calls that ended with an error before any content, by its code."""
    broken: int
    """Replies that broke off after content had gone out."""
    left: int
    """Calls whose caller left."""
    attempts: int
    wait_p50_s: float
    """Waits in line of the calls that were served."""
    wait_p99_s: float
    tokens: int
    wished_tokens: int
    oracle_tokens: int
    regret: float
    """Share of the oracle's tokens that were not served, 0 to 1."""
    exhausted_at_hour: float | None
    """When the first call was refused because every account was at its limit."""
    limited_hours: float
    """For how long such calls were refused."""
    decisions: int
    digest: str
    """Tells one sequence of decisions from another."""
    used: tuple[float, ...]
    """Used share of the accounts' tightest windows, a mean, over the time."""
    refused_calls: tuple[int, ...]
    """Calls refused, over the time."""

    @property
    def refused_count(self) -> int:
        """Return how many calls were refused, whatever the reason."""
        return sum(self.refused.values())


def compare(
    plan: Plan, strategies: Sequence[Strategy], *, on_progress: Callable[[], None]
) -> list[Result]:
    """Play the plan once with each strategy, all with the same calls, and return the results.

    `on_progress` is called `ledger.BUCKETS` times in each run.

    Raises:
        Violation: Something happened that must never happen: a defect.
    """
    results = []
    for strategy in strategies:
        gateway = replace(plan.gateway, strategy=strategy)
        simulation = Simulation(replace(plan, gateway=gateway))
        played = simulation.run(on_progress)
        results.append(result(strategy, played, simulation.upstream.capacity_tokens))
    return results


def result(strategy: Strategy, played: Ledger, capacity_tokens: float) -> Result:
    """Return what a run came to, against an oracle with so many tokens."""
    waits = sorted(played.waits)
    oracle = played.wished_tokens
    if isfinite(capacity_tokens):
        oracle = min(oracle, int(capacity_tokens))
    limited = sum(1 for count in played.limited_in if count)
    return Result(
        strategy=strategy,
        calls=played.arrived,
        served=played.served,
        refused=dict(sorted(played.refused.items())),
        broken=played.broken,
        left=played.left,
        attempts=played.attempts,
        wait_p50_s=_quantile(waits, 0.5),
        wait_p99_s=_quantile(waits, 0.99),
        tokens=played.tokens,
        wished_tokens=played.wished_tokens,
        oracle_tokens=oracle,
        regret=max(0.0, 1.0 - played.tokens / oracle) if oracle else 0.0,
        exhausted_at_hour=None if played.exhausted_at is None else played.exhausted_at / HOUR_S,
        limited_hours=limited * played.bucket_s / HOUR_S,
        decisions=played.decisions,
        digest=played.digest,
        used=tuple(played.used_in),
        refused_calls=tuple(played.refused_in),
    )


def best(results: Sequence[Result]) -> Result:
    """Return the result that served most; among nearly equals the one with the shortest waits."""
    most = max(each.served for each in results)
    close = [each for each in results if each.served >= most * 0.999]
    return min(close, key=lambda each: (round(each.wait_p99_s, 1), -each.tokens))


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
