"""Tests of app.store.rollups."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.usage import Usage
from app.store.rollups import FIRST_EVENT_BOUNDS_S, bucket, rollups
from app.store.tables import (
    FIRST_EVENT_COLUMNS,
    day_totals,
    error_hours,
    error_totals,
    hour_totals,
    usage_days,
    usage_hours,
)
from tests.store.calls import ATTEMPT, DAY, NOON, REQUEST


def named(table, rows):
    """Return rows as dictionaries by the names of the columns."""
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_a_call_is_one_row_of_each_sum() -> None:
    """What was used comes from the attempt, what the caller saw from the request."""
    (row,) = named(usage_hours, rollups([ATTEMPT], [REQUEST])[usage_hours])
    expected = {"caller_id": "key-a", "start": NOON, "account_id": "account-a", "model": "gpt-5",
                "requests": 1, "errors": 0, "attempts": 1, "input": 100, "cached": 40,
                "cache_write": 5, "output": 20, "reasoning": 8, "cost_nusd": 1_234_567,
                "seconds": 5.0, "first_events": 1, "first_event_s": 1.125}  # fmt: skip
    buckets = dict.fromkeys(FIRST_EVENT_COLUMNS, 0)
    assert row == expected | buckets | {FIRST_EVENT_COLUMNS[bucket(1.125)]: 1}
    (day,) = named(usage_days, rollups([ATTEMPT], [REQUEST])[usage_days])
    assert day == row | {"start": DAY}


def test_each_attempt_counts_for_its_own_account_and_hour() -> None:
    """A retry at the turn of a day is two rows; the request belongs to where it ended."""
    second = replace(ATTEMPT, number=2, account_id="account-b", at=DAY + 86_400.0)
    request = replace(REQUEST, account_id="account-b", at=DAY + 86_399.9, attempts=2)
    first = replace(ATTEMPT, at=DAY + 86_399.9)
    sums = rollups([first, second], [request])
    found = [(row["start"], row["account_id"], row["requests"], row["attempts"])
             for row in named(usage_hours, sums[usage_hours])]  # fmt: skip
    last_hour = DAY + 82_800
    assert found == [
        (last_hour, "account-a", 0, 1),
        (last_hour, "account-b", 1, 0),
        (DAY + 86_400, "account-b", 0, 1),
    ]
    days = [row["start"] for row in named(usage_days, sums[usage_days])]
    assert days == [DAY, DAY, DAY + 86_400]


def test_totals_are_by_one_thing_at_a_time() -> None:
    """All calls, and those of each caller, account and model."""
    other = replace(REQUEST, uid="x", model="gpt-6")
    rows = named(hour_totals, rollups([], [REQUEST, other])[hour_totals])
    assert [(row["dimension"], row["id"], row["requests"]) for row in rows] == [
        ("", "", 2),
        ("account_id", "account-a", 2),
        ("caller_id", "key-a", 2),
        ("model", "gpt-5", 1),
        ("model", "gpt-6", 1),
    ]


def test_a_request_without_caller_account_and_model_counts_too() -> None:
    """A refused key is an error like any other; nothing is told apart by an empty name."""
    refused = replace(
        REQUEST, caller_id=None, account_id=None, model=None, code="invalid_api_key", status=401,
        first_event_s=None,
    )  # fmt: skip
    sums = rollups([], [refused, replace(refused, uid="x")])
    (row,) = named(usage_hours, sums[usage_hours])
    assert (row["caller_id"], row["account_id"], row["model"]) == ("", "", "")
    assert (row["requests"], row["errors"], row["first_events"]) == (2, 2, 0)
    assert sums[error_hours] == [(NOON, "invalid_api_key", "", "", "", 2)]
    assert sums[error_totals] == [
        (dimension, NOON, "", "invalid_api_key", 2)
        for dimension in ("", "account_id", "caller_id", "model")
    ]


def test_a_caller_that_hung_up_is_no_error() -> None:
    """Its code says that all was well on this side."""
    gone = replace(REQUEST, status=499)
    sums = rollups([], [gone])
    assert named(usage_hours, sums[usage_hours])[0]["errors"] == 0
    assert sums[error_hours] == sums[error_totals] == []


def test_nothing_adds_nothing() -> None:
    """A batch without rows touches no table."""
    assert not any(rollups([], []).values())


@pytest.mark.parametrize(
    ("seconds", "number"),
    [(0.0, 0), (0.25, 0), (0.2500001, 1), (60.0, 10), (60.1, 11), (1e9, 11), (-0.1, 0)],
)
def test_a_bucket_includes_its_upper_bound(seconds: float, number: int) -> None:
    """As in the histograms of metrics; the last one has no end."""
    assert bucket(seconds) == number
    assert len(FIRST_EVENT_COLUMNS) == len(FIRST_EVENT_BOUNDS_S) + 1


few = st.sampled_from
attempts_of = st.builds(
    lambda at, who, where, used, cost: replace(
        ATTEMPT, at=at, caller_id=who, account_id=where, usage=used, cost_nusd=cost
    ),
    st.floats(0, 4e5),
    few(["a", "b"]),
    few(["x", "y"]),
    st.builds(Usage, st.integers(0, 10**9), output=st.integers(0, 10**9)),
    st.integers(0, 10**15),
)
requests_of = st.builds(
    lambda at, who, code, first: replace(
        REQUEST, at=at, caller_id=who, code=code, first_event_s=first
    ),
    st.floats(0, 4e5),
    few(["a", "b", None]),
    few(["ok", "pool_busy"]),
    st.none() | few([0.5, 2.25, 100.0]),
)


@given(st.lists(attempts_of, max_size=20), st.lists(requests_of, max_size=20))
def test_every_table_holds_the_same_sums(attempts, requests) -> None:
    """However calls are spread, nothing is lost or doubled on the way to any total."""
    sums = rollups(attempts, requests)
    hours = named(usage_hours, sums[usage_hours])
    expected = {
        "requests": len(requests),
        "errors": sum(each.code != "ok" for each in requests),
        "attempts": len(attempts),
        "input": sum(each.usage.input for each in attempts),
        "output": sum(each.usage.output for each in attempts),
        "cost_nusd": sum(each.cost_nusd for each in attempts),
        "first_events": sum(each.first_event_s is not None for each in requests),
    }
    by_dimension = [
        [row for row in named(table, sums[table]) if row["dimension"] == dimension]
        for table in (hour_totals, day_totals)
        for dimension in ("", "caller_id", "account_id", "model")
    ]
    for rows in (hours, named(usage_days, sums[usage_days]), *by_dimension):
        assert {name: sum(row[name] for row in rows) for name in expected} == expected
        assert (
            sum(row[name] for row in rows for name in FIRST_EVENT_COLUMNS)
            == (expected["first_events"])
        )
        assert sum(Fraction(row["seconds"]) for row in rows) == 5 * len(requests)
    assert sum(row[-1] for row in sums[error_hours]) == expected["errors"]
    assert sum(row[-1] for row in sums[error_totals]) == 4 * expected["errors"]
    for table, rows in sums.items():
        keys = [row[: len(table.primary_key)] for row in rows]
        assert keys == sorted(set(keys))
