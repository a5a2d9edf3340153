"""What calls have cost, and how far the database is behind what was written down of them.

Everything is read at a scrape from those who know.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from app.telemetry.labels import Words

MODELS_MAX: Final = 64
_NANO: Final = 1_000_000_000


class JournalState(Struct, frozen=True):
    """How a worker's journal is now.

    `depth` records have not been moved into the database, the oldest of them for `age_s` seconds.
    `lost` of all time found no room, `refused` rows the database does not take.
    """

    depth: int
    age_s: float
    healthy: bool
    lost: int
    refused: int


class UsageGauges:
    """The journal and the costs of one worker."""

    def __init__(
        self, *, journal: Callable[[], JournalState], costs: Callable[[], Mapping[str, int]]
    ) -> None:
        """Take what tells of the journal, and of nano-dollars by model."""
        self._journal = journal
        self._costs = costs
        self._models = Words(MODELS_MAX)

    def families(self) -> Iterator[Metric]:
        """Yield them as they are now."""
        state = self._journal()
        yield GaugeMetricFamily(
            "codex2api_journal_depth",
            "Records of calls that the database has not taken yet.",
            value=state.depth,
        )
        yield GaugeMetricFamily(
            "codex2api_journal_age_seconds", "How old the oldest of them is.", value=state.age_s
        )
        yield GaugeMetricFamily(
            "codex2api_journal_healthy",
            "1 while calls can be written down; new ones are refused otherwise.",
            value=float(state.healthy),
        )
        yield _total("codex2api_journal_lost", "Records that found no room at all.", state.lost)
        yield _total(
            "codex2api_journal_refused", "Rows that the database does not take.", state.refused
        )
        family = CounterMetricFamily(
            "codex2api_cost_usd", "What attempts have cost by the price table.", labels=("model",)
        )
        totals: defaultdict[str, int] = defaultdict(int)
        for model, nusd in self._costs().items():
            totals[self._models.label(model)] += nusd
        for label, nusd in totals.items():
            family.add_metric((label,), nusd / _NANO)
        yield family


def _total(name: str, help_: str, count: int) -> Metric:
    family = CounterMetricFamily(name, help_)
    family.add_metric((), count)
    return family
