"""Tests of app.store.reports."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.report import (
    Code,
    Dimension,
    Latency,
    Only,
    Point,
    Spent,
    Step,
    Totals,
    Window,
)
from app.domain.usage import Usage
from app.settings import Settings
from app.store import reports as module
from app.store.reports import Reports, percentile
from app.store.rollups import FIRST_EVENT_BOUNDS_S, bucket
from app.store.store import Store
from tests.store.behind import execute
from tests.store.calls import DAY, NOON, attempt, request, take

HOUR_S, DAY_S = 3_600, 86_400
NOW = NOON + 1_800.0
ONE = Totals(
    requests=1,
    errors=0,
    attempts=1,
    usage=Usage(100, 40, 5, 20, 8),
    cost_nusd=1_234_567,
    seconds=5.0,
    first_events=1,
    first_event_s=1.125,
)
HOURS, DAYS = Window(Step.HOUR, 24), Window(Step.DAY, 30)


@pytest.fixture
def reports(store: Store) -> Reports:
    """The reports of an empty store."""
    return store.reports


async def called(store: Store, number: int, *, at: float = NOON, **who: str) -> None:
    """Let the store take one good call."""
    await take(store, [attempt(number, at=at, **who)], [request(number, at=at, **who)])


async def calls_of_three(store: Store) -> None:
    """Let the store take calls of two keys on two accounts with two models."""
    await called(store, 1, caller_id="a", account_id="x", model="m")
    await called(store, 2, caller_id="a", account_id="y", model="m")
    await called(store, 3, caller_id="a", account_id="x", model="n")
    await called(store, 4, caller_id="b", account_id="x", model="n", at=NOON - 3 * DAY_S)


@pytest.mark.parametrize(
    ("window", "starts"),
    [
        (Window(Step.HOUR, 1), [NOON]),
        (Window(Step.HOUR, 3), [NOON - 2 * HOUR_S, NOON - HOUR_S, NOON]),
        (Window(Step.DAY, 2), [DAY - DAY_S, DAY]),
        (Window(Step.DAY, 0), [DAY]),
    ],
)
def test_a_window_ends_with_the_present(window: Window, starts: list[int]) -> None:
    """The hour or day that is not over yet is its last."""
    assert list(window.starts(NOW)) == starts


@pytest.mark.parametrize(("step", "most"), [(Step.HOUR, 48), (Step.DAY, 92)])
def test_a_window_has_a_bounded_length(step: Step, most: int) -> None:
    """A longer one is cut, so that no query can span everything."""
    assert len(Window(step, 10_000).starts(NOW)) == most


async def test_an_empty_store_has_an_answer_to_everything(reports: Reports) -> None:
    """Nothing yet is no error, and the series have all their points."""
    overview = await reports.overview(NOW)
    assert overview.hour == overview.today == overview.day == overview.month == Totals()
    assert await reports.lines(Dimension.MODEL, HOURS, NOW) == []
    assert await reports.codes(DAYS, NOW) == []
    assert await reports.latency(HOURS, NOW) == Latency(0, None, None, None, None)
    assert await reports.spending(NOW, month_start=0.0) == {}
    assert len(await reports.series(HOURS, NOW)) == 24


async def test_the_overview_looks_back_step_by_step(store: Store, reports: Reports) -> None:
    """Each window includes the ones before it, and ends where it says."""
    for number, age_s in enumerate(
        [0, HOUR_S, 13 * HOUR_S, 23 * HOUR_S, 24 * HOUR_S, 6 * DAY_S, 7 * DAY_S, 29 * DAY_S,
         30 * DAY_S]
    ):  # fmt: skip
        await called(store, number, at=NOON - age_s)
    overview = await reports.overview(NOW)
    found = [getattr(overview, name).requests for name in ("hour", "today", "day", "week", "month")]
    assert found == [1, 2, 4, 6, 8]
    assert overview.hour == ONE
    assert overview.today == Totals(
        requests=2,
        attempts=2,
        usage=Usage(200, 80, 10, 40, 16),
        cost_nusd=2_469_134,
        seconds=10.0,
        first_events=2,
        first_event_s=2.25,
    )


async def test_a_series_has_a_point_for_every_hour(store: Store, reports: Reports) -> None:
    """Also for one in which nothing happened, in the order of time."""
    await called(store, 1, at=NOON - 2 * HOUR_S)
    await called(store, 2, at=NOON)
    assert await reports.series(Window(Step.HOUR, 3), NOW) == [
        Point(NOON - 2 * HOUR_S, ONE),
        Point(NOON - HOUR_S, Totals()),
        Point(NOON, ONE),
    ]
    days = await reports.series(Window(Step.DAY, 2), NOW)
    assert [(point.start, point.totals.requests) for point in days] == [(DAY - DAY_S, 0), (DAY, 2)]


NARROWED = [
    (Only(), 3),
    (Only(caller_id="a"), 3),
    (Only(caller_id="b"), 0),
    (Only(account_id="x"), 2),
    (Only(model="n"), 1),
    (Only(caller_id="a", account_id="y"), 1),
    (Only(caller_id="a", account_id="x", model="n"), 1),
    (Only(caller_id="b", account_id="y"), 0),
]


async def test_figures_can_be_narrowed_to_anything(store: Store, reports: Reports) -> None:
    """By one thing they come from the totals, by more from the sums by all; they agree."""
    await calls_of_three(store)
    for only, requests in NARROWED:
        assert (await reports.series(HOURS, NOW, only))[-1].totals.requests == requests
        assert (await reports.overview(NOW, only)).day.requests == requests
        assert (await reports.latency(HOURS, NOW, only)).count == requests
        for dimension in Dimension:
            lines = await reports.lines(dimension, HOURS, NOW, only)
            assert sum(line.totals.requests for line in lines) == requests


LINES = [
    (Dimension.MODEL, Only(), [("m", 2), ("n", 2)]),
    (Dimension.ACCOUNT, Only(), [("x", 3), ("y", 1)]),
    (Dimension.CALLER, Only(), [("a", 3), ("b", 1)]),
    (Dimension.CALLER, Only(caller_id="b"), [("b", 1)]),
    (Dimension.MODEL, Only(caller_id="a"), [("m", 2), ("n", 1)]),
    (Dimension.CALLER, Only(account_id="x"), [("a", 2), ("b", 1)]),
    (Dimension.ACCOUNT, Only(model="n", caller_id="b"), [("x", 1)]),
    (Dimension.ACCOUNT, Only(model="unknown"), []),
]


async def test_lines_come_by_their_requests(store: Store, reports: Reports) -> None:
    """The busiest first, the rest by name."""
    await calls_of_three(store)
    for dimension, only, expected in LINES:
        lines = await reports.lines(dimension, DAYS, NOW, only)
        assert [(line.id, line.totals.requests) for line in lines] == expected
        assert all(line.totals.cost_nusd == line.totals.requests * ONE.cost_nusd for line in lines)


async def test_lines_are_bounded(
    store: Store, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand keys are no page; the busiest ones are."""
    monkeypatch.setattr(module, "LINES_MAX", 2)
    await calls_of_three(store)
    await called(store, 9, caller_id="c")
    assert [line.id for line in await reports.lines(Dimension.CALLER, DAYS, NOW)] == ["a", "b"]


async def test_errors_are_counted_by_their_codes(store: Store, reports: Reports) -> None:
    """The most frequent first, of the window and of whom was asked about."""
    rows = [
        request(n, code=code, caller_id=caller)
        for n, (code, caller) in enumerate([("ok", "a"), ("y", "a"), ("x", "a"), ("x", "b")])
    ]
    old = request(9, code="old", at=NOON - 2 * DAY_S)
    await take(store, [], [*rows, old])
    assert await reports.codes(HOURS, NOW) == [Code("x", 2), Code("y", 1)]
    assert await reports.codes(DAYS, NOW) == [Code("x", 2), Code("old", 1), Code("y", 1)]
    assert await reports.codes(HOURS, NOW, Only(caller_id="b")) == [Code("x", 1)]
    assert await reports.codes(HOURS, NOW, Only(caller_id="a", model="gpt-5")) == [
        Code("x", 1),
        Code("y", 1),
    ]
    assert await reports.codes(HOURS, NOW, Only(model="none")) == []


async def test_latency_comes_from_the_buckets(store: Store, reports: Reports) -> None:
    """Requests without a first event have none; the mean is exact, the rest nearly so."""
    times = [0.2, 0.6, 0.7, 0.9, None]
    await take(store, [], [request(n, first_event_s=each) for n, each in enumerate(times)])
    latency = await reports.latency(HOURS, NOW)
    assert latency.count == 4
    assert latency.mean_s == pytest.approx(0.6)
    assert latency.p50_s == pytest.approx(0.625)
    assert latency.p90_s == pytest.approx(0.9)
    assert latency.p99_s == pytest.approx(0.99)


async def test_spending_is_of_the_present_day_and_month(store: Store, reports: Reports) -> None:
    """What budgets start from: exact, also for calls that no answer is known of."""
    month_start = DAY - 10 * DAY_S
    for number, (caller, at) in enumerate(
        [("a", NOON), ("a", DAY), ("a", DAY - 1), ("b", month_start), ("c", month_start - 1)]
    ):
        await take(store, [attempt(number, caller_id=caller, at=float(at), cost_nusd=10**15)])
    assert await reports.spending(NOW, month_start=float(month_start)) == {
        "a": Spent(2 * 10**15, 3 * 10**15),
        "b": Spent(0, 10**15),
    }


async def test_no_report_reads_a_request(
    store: Store, reports: Reports, settings: Settings
) -> None:
    """Without the rows of single calls every one of them answers as before."""
    await calls_of_three(store)
    before = await reports.overview(NOW), await reports.lines(Dimension.MODEL, DAYS, NOW)
    for table in ("requests", "attempts"):
        await execute(settings, f"DROP TABLE {table}")
    after = await reports.overview(NOW), await reports.lines(Dimension.MODEL, DAYS, NOW)
    assert after == before
    await reports.codes(DAYS, NOW)
    await reports.latency(DAYS, NOW, Only(caller_id="a", model="m"))
    await reports.spending(NOW, month_start=0.0)


def test_a_percentile_without_events_is_unknown() -> None:
    """There is no time that could be told."""
    assert percentile([0] * 12, 0.5) is None


def test_a_percentile_beyond_the_last_bound_is_that_bound() -> None:
    """The last bucket has no end, so it is at least this."""
    assert percentile([0] * 11 + [3], 0.5) == FIRST_EVENT_BOUNDS_S[-1]
    assert percentile([1] + [0] * 10 + [1], 0.99) == FIRST_EVENT_BOUNDS_S[-1]


@given(st.lists(st.floats(0, 60), min_size=1, max_size=50), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_percentile_is_right_to_the_bucket(times: Sequence[float], share: float) -> None:
    """It lies within the bucket in which the true one is."""
    counts = [0] * 12
    for each in times:
        counts[bucket(each)] += 1
    found = percentile(counts, share)
    assert found is not None
    rank = -(-share * len(times) // 1)
    truth = bucket(sorted(times)[int(rank) - 1])
    assert ([0.0, *FIRST_EVENT_BOUNDS_S])[truth] <= found <= FIRST_EVENT_BOUNDS_S[truth]
