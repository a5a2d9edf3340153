"""What workers have counted, as values: taken from the parts, added up over all of them.

Counters and histograms are sums over all workers, those that are gone included, so a total never
falls. A gauge is about those that live; `GAUGES` says what it is over several of them. What is in
no table is the same for all, and the worker that is asked speaks for itself.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from math import floor, isfinite
from typing import Final

from msgspec import Struct, msgpack, structs
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from app.telemetry.labels import OTHER, Words


class Rule(Enum):
    """What a gauge is over several workers."""

    SUM = auto()
    MAX = auto()
    MIN = auto()
    MEAN = auto()
    OWN = auto()
    """Every worker knows the same; the one that is asked says it."""


GAUGES: Final[Mapping[str, Rule]] = {
    "codex2api_account_error_ratio": Rule.MEAN,
    "codex2api_account_tokens_today": Rule.SUM,
    "codex2api_journal_age_seconds": Rule.MAX,
    "codex2api_journal_depth": Rule.SUM,
    "codex2api_journal_healthy": Rule.MIN,
    "codex2api_late_requests": Rule.SUM,
    "codex2api_leases": Rule.SUM,
    "codex2api_loop_lag_seconds": Rule.MAX,
    "codex2api_queue_depth": Rule.SUM,
    "codex2api_shared_sync_age_seconds": Rule.MAX,
    "codex2api_shared_up": Rule.MIN,
    "codex2api_store_up": Rule.MIN,
    "codex2api_streams_in_flight": Rule.SUM,
    "codex2api_upstream_connections": Rule.SUM,
    "codex2api_websocket_pool": Rule.SUM,
    "codex2api_websockets": Rule.SUM,
    "process_max_fds": Rule.SUM,
    "process_open_fds": Rule.SUM,
    "process_resident_memory_bytes": Rule.SUM,
    "process_start_time_seconds": Rule.MIN,
    "process_virtual_memory_bytes": Rule.SUM,
}
TOTALS: Final = frozenset({"counter", "histogram"})
"""The kinds that only ever grow."""
GRAIN: Final = 2.0**-20
"""Totals are multiples of it: sums of such floats are exact, in whatever order they are added up. A
total that were smaller by a rounding error would look like a restart."""
ACCOUNT: Final = "account"
WORDS_MAX: Final = 256
"""Values of one label that are kept of workers that are gone: each brings words of its own."""

Place = Callable[[str], str | None]
"""From an account's id to how it is called on the page, or None if there is no such account."""
Line = tuple[str, dict[str, str], float]
"""Name, labels and value of one sample."""


class Family(Struct, array_like=True):
    """All samples of one metric."""

    name: str
    kind: str
    help: str
    lines: list[Line]

    @property
    def rule(self) -> Rule:
        """What it is over several workers."""
        return Rule.SUM if self.kind in TOTALS else GAUGES.get(self.name, Rule.OWN)


class Page(Struct, array_like=True):
    """What one worker has counted, or several together; `gone` names those it is the sum of."""

    families: list[Family] = []
    gone: list[str] = []

    @property
    def totals(self) -> list[Family]:
        """The families that only ever grow."""
        return [family for family in self.families if family.kind in TOTALS]


_decoder = msgpack.Decoder(Page)


def page(metrics: Iterable[Metric]) -> Page:
    """Return what other workers need to know of these metrics."""
    families = (family(metric) for metric in metrics)
    return Page([each for each in families if each.rule is not Rule.OWN])


def family(metric: Metric) -> Family:
    """Return a metric as a value."""
    even = _even if metric.type in TOTALS else float
    lines = [(sample.name, sample.labels, even(sample.value)) for sample in metric.samples]
    return Family(metric.name, metric.type, metric.documentation, lines)


def metric(family: Family) -> Metric:
    """Return a value as the metric that Prometheus' client can spell."""
    made = Metric(family.name, family.help, family.kind)
    made.samples = [Sample(*line) for line in family.lines]
    return made


def encode(page: Page) -> bytes:
    """Return the bytes of a page."""
    return msgpack.encode(page)


def decode(data: bytes) -> Page:
    """Return the page that `encode` made bytes of.

    Raises:
        msgspec.DecodeError: It made other bytes.
    """
    return _decoder.decode(data)


def together(parts: Sequence[Sequence[Family]], *, place: Place) -> list[Family]:
    """Return what several workers have counted; the first of them is the one that is asked.

    Its accounts are called as it calls them, and so are those of the others.
    """
    by_name: defaultdict[str, list[Family]] = defaultdict(list)
    for number, families in enumerate(parts):
        for each in families:
            by_name[each.name].append(_placed(each, place) if number else each)
    return [_folded(found) for found in by_name.values()]


def bounded(families: Iterable[Family]) -> list[Family]:
    """Return the families with at most `WORDS_MAX` values of each label; the rest is `other`."""
    found = []
    for each in families:
        words: defaultdict[str, Words] = defaultdict(lambda: Words(WORDS_MAX))
        lines = [
            (name, {label: words[label].label(value) for label, value in labels.items()}, value)
            for name, labels, value in each.lines
        ]
        found.append(_folded([structs.replace(each, lines=lines)]))
    return found


def _even(value: float) -> float:
    """Return a total without what is finer than `GRAIN`."""
    return floor(value / GRAIN) * GRAIN if isfinite(value) else value


def _placed(family: Family, place: Place) -> Family:
    if not family.lines or ACCOUNT not in family.lines[0][1]:
        return family
    lines = []
    for line in family.lines:
        name, labels, value = line
        account = labels[ACCOUNT]
        called = account if account == OTHER else place(account)
        if called == account:
            lines.append(line)
        elif called is not None:
            lines.append((name, {**labels, ACCOUNT: called}, value))
    return structs.replace(family, lines=lines)


def _folded(families: Sequence[Family]) -> Family:
    """Return one family out of those of several workers, in the order of the first."""
    first = families[0]
    if first.rule is Rule.OWN:
        return first
    found: dict[tuple[str, tuple[str, ...]], tuple[dict[str, str], list[float]]] = {}
    for each in families:
        for name, labels, value in each.lines:
            key = name, tuple(labels.values())
            if key in found:
                found[key][1].append(value)
            else:
                found[key] = labels, [value]
    fold = _FOLDS[first.rule]
    lines = [(name, labels, fold(values)) for (name, _), (labels, values) in found.items()]
    return structs.replace(first, lines=lines)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


_FOLDS: Final[Mapping[Rule, Callable[[Sequence[float]], float]]] = {
    Rule.SUM: sum,
    Rule.MAX: max,
    Rule.MIN: min,
    Rule.MEAN: _mean,
}
