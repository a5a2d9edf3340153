"""What several workers have counted is added up by a rule that every metric has."""

import re
from math import inf
from pathlib import Path
from random import Random

import msgspec
import pytest
from prometheus_client import generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric

from app.telemetry import page as pages
from app.telemetry.page import GAUGES, WORDS_MAX, bounded, family, together

APP = Path(__file__).parents[2] / "app"
SAME_FOR_ALL = {
    "codex2api_account_reset_seconds",
    "codex2api_account_runway_seconds",
    "codex2api_account_used_ratio",
    "codex2api_accounts",
    "codex2api_pool_runway_seconds",
}


def counter(**counts: float) -> Metric:
    """Return a counter with one label."""
    made = CounterMetricFamily("codex2api_calls", "Calls.", labels=("code",))
    for code, count in counts.items():
        made.add_metric((code,), count)
    return made


def of_accounts(**counts: float) -> Metric:
    """Return a counter by account."""
    made = CounterMetricFamily("codex2api_account_calls", "Calls.", labels=("account", "kind"))
    for account, count in counts.items():
        made.add_metric((account, "x"), count)
    return made


def gauge(name: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(name, "Something.", value=value)


def added(*workers: list[Metric], place=str) -> dict[tuple[str, ...], float]:
    """Return what the page of these workers says, the first of them being asked."""
    parts = [[family(metric) for metric in metrics] for metrics in workers]
    return {
        (name, *labels.values()): value
        for each in together(parts, place=place)
        for name, labels, value in each.lines
    }


def test_counters_are_sums():
    """Of what any worker has counted, also under labels that only one of them has seen."""
    assert added([counter(ok=2, late=1)], [counter(ok=3, odd=7)], [counter(odd=1)]) == {
        ("codex2api_calls_total", "ok"): 5,
        ("codex2api_calls_total", "late"): 1,
        ("codex2api_calls_total", "odd"): 8,
    }


def test_histograms_are_sums_of_their_buckets():
    """And stay cumulative."""
    made = []
    for small, large in ((1, 2), (10, 30)):
        metric = HistogramMetricFamily("codex2api_wait_seconds", "Waits.")
        buckets = [("0.1", float(small)), ("+Inf", float(small + large))]
        metric.add_metric((), buckets, small + large / 2)
        made.append([metric])
    assert added(*made) == {
        ("codex2api_wait_seconds_bucket", "0.1"): 11,
        ("codex2api_wait_seconds_bucket", "+Inf"): 43,
        ("codex2api_wait_seconds_count",): 43,
        ("codex2api_wait_seconds_sum",): 27,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("codex2api_leases", 12),
        ("codex2api_loop_lag_seconds", 7),
        ("codex2api_store_up", 1),
        ("codex2api_account_error_ratio", 4),
        ("codex2api_accounts", 4),
    ],
)
def test_a_gauge_follows_its_rule(name, value):
    """The sum, the worst, the mean, or what the worker that is asked knows itself."""
    assert added(*([gauge(name, each)] for each in (4, 7, 1))) == {(name,): value}


def test_a_total_is_the_same_in_whatever_order_it_is_added_up():
    """A rounding error downwards would look like a restart."""
    rng = Random(7)
    for _ in range(200):
        parts = [[family(counter(ok=rng.expovariate(10.0 ** -rng.randrange(7))))] for _ in range(5)]
        together_at_once = together(parts, place=str)
        rng.shuffle(parts)
        retired = together(parts[:3], place=str)
        assert together([*parts[3:], retired], place=str) == together_at_once


def test_a_total_keeps_its_millionths_and_never_grows():
    """What can't be counted stays as it is."""
    values = [0.0, 0.1, 1e-9, 12_345.678_901, 2.0**52 + 1, inf]
    [made] = [family(counter(**{f"c{n}": value for n, value in enumerate(values)}))]
    kept = [value for *_, value in made.lines]
    assert all(0 <= value - less < 1e-6 for value, less in zip(values[:4], kept, strict=False))
    assert kept[4:] == values[4:]


def test_an_account_is_called_as_the_worker_that_is_asked_calls_it():
    """Others together, and one that is gone not at all."""
    names = {"a": "a", "b": "other", "gone": None}
    seen = added(
        [of_accounts(a=1, other=10)],
        [of_accounts(a=1, b=2, gone=50, other=20)],
        [counter(a=1)],
        place=lambda account: names[account],
    )
    assert seen == {
        ("codex2api_account_calls_total", "a", "x"): 2,
        ("codex2api_account_calls_total", "other", "x"): 32,
        ("codex2api_calls_total", "a"): 1,
    }


def test_what_the_first_worker_has_not_is_there_all_the_same():
    """Its order comes first."""
    parts = [[family(counter(ok=1))], [family(gauge("codex2api_leases", 1)), family(counter())]]
    assert [each.name for each in together(parts, place=str)] == [
        "codex2api_calls",
        "codex2api_leases",
    ]


def test_what_everybody_knows_is_not_told_to_others():
    """Everything else comes back from its bytes as it was."""
    build = InfoMetricFamily("codex2api_build", "Build.", value={"version": "1"})
    empty = counter()
    told = pages.page([counter(ok=2), build, gauge("codex2api_leases", 3), empty])
    back = pages.decode(pages.encode(told))
    assert back == told
    assert [each.name for each in back.families] == [
        "codex2api_calls",
        "codex2api_leases",
        "codex2api_calls",
    ]
    assert [each.name for each in back.totals] == ["codex2api_calls", "codex2api_calls"]
    with pytest.raises(msgspec.DecodeError):
        pages.decode(b"\x00")


class Given:
    """Something with metrics, as Prometheus' client wants it."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self):
        """Return them."""
        return self._metrics


def test_a_value_is_spelled_like_the_metric_that_it_was():
    """Byte for byte."""
    build = InfoMetricFamily("codex2api_build", "Build.", value={"version": "1"})
    metrics = (counter(ok=2), build, gauge("codex2api_leases", 3), of_accounts(a=1))
    copies = (pages.metric(family(metric)) for metric in metrics)
    assert generate_latest(Given(*copies)) == generate_latest(Given(*metrics))


def test_words_of_those_who_are_gone_are_bounded():
    """The first ones stay, and the total is what it was."""
    many = family(counter(**{f"c{number}": 1 for number in range(WORDS_MAX + 10)}))
    [kept] = bounded([many])
    assert len(kept.lines) == WORDS_MAX + 1
    assert kept.lines[0] == many.lines[0]
    assert kept.lines[-1] == ("codex2api_calls_total", {"code": "other"}, 10)


def test_every_gauge_has_its_rule():
    """Or is known to be the same for all: a new one must be thought about."""
    sources = (path.read_text("utf-8") for path in APP.rglob("*.py"))
    made = [name for text in sources for name in re.findall(r"GaugeMetricFamily\(\s*\"(\w+)", text)]
    assert set(made) >= SAME_FOR_ALL
    assert set(made) <= GAUGES.keys() | SAME_FOR_ALL
    assert not GAUGES.keys() & SAME_FOR_ALL
