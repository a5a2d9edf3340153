"""Sums over calls, by hours and by days of UTC: what every page but the list of requests reads.

What was used and paid belongs to the account of each attempt and to the hour in which that began;
what the caller saw (how many requests and errors, how long they took) belongs to the request and
to the account of its last attempt. There are sums by caller, account and model together, and totals
by each of these alone, which stay few however many combinations occur. A batch is added up in
memory first, so that it costs a few rows and not one per call. Nothing in here runs a statement.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import add
from typing import Any, Final, TypeVar

from sqlalchemy import Table

from app.domain.ledger import OK, AttemptRow, RequestRow
from app.domain.report import DAY_S, HOUR_S, Dimension
from app.store.tables import (
    day_totals,
    error_hours,
    error_totals,
    hour_totals,
    usage_days,
    usage_hours,
)

FIRST_EVENT_BOUNDS_S: Final = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)
"""The upper bounds of the buckets of `FIRST_EVENT_COLUMNS`; the last bucket has none."""


ALL: Final = ""
"""The dimension, and the id, of the totals of all calls."""

_Key = tuple[str, int, str, str]
"""Caller, start, account and model, as in the tables' keys."""
_Sums = list[float]
_KeyT = TypeVar("_KeyT", bound=tuple[Any, ...])

# Where each figure stands in a list of sums, which are the columns after the key.
_REQUESTS, _ERRORS, _ATTEMPTS, _INPUT = 0, 1, 2, 3
_COST, _SECONDS, _FIRST_EVENTS, _FIRST_EVENT_S, _BUCKETS = 8, 9, 10, 11, 12
_WIDTH: Final = _BUCKETS + len(FIRST_EVENT_BOUNDS_S) + 1


def rollups(
    attempts: Iterable[AttemptRow], requests: Iterable[RequestRow]
) -> Mapping[Table, list[tuple[Any, ...]]]:
    """Return what these rows add to each table of sums, in the order of its columns.

    Rows are sorted by their keys: whoever adds them in that order can't lock another one out.
    """
    hours: dict[_Key, _Sums] = {}
    errors: Counter[tuple[Any, ...]] = Counter()
    error_parts: Counter[tuple[Any, ...]] = Counter()
    for attempt in attempts:
        _add_attempt(_sums_of(hours, attempt), attempt)
    for request in requests:
        _add_request(_sums_of(hours, request), request)
        if request.code != OK:
            caller_id, start, *rest = key = _key(request)
            errors[(start, request.code, caller_id, *rest)] += 1
            error_parts.update((*each, request.code) for each in _totals_keys(key))
    days = _merged(hours, lambda key: [(key[0], key[1] // DAY_S * DAY_S, *key[2:])])
    return {
        usage_hours: _rows(hours),
        usage_days: _rows(days),
        hour_totals: _rows(_merged(hours, _totals_keys)),
        day_totals: _rows(_merged(days, _totals_keys)),
        error_hours: [(*key, count) for key, count in sorted(errors.items())],
        error_totals: [(*key, count) for key, count in sorted(error_parts.items())],
    }


def bucket(first_event_s: float) -> int:
    """Return the number of the bucket that counts this time."""
    return bisect_left(FIRST_EVENT_BOUNDS_S, first_event_s)


def _key(row: AttemptRow | RequestRow) -> _Key:
    start = int(row.at) // HOUR_S * HOUR_S
    return row.caller_id or "", start, row.account_id or "", row.model or ""


def _totals_keys(key: _Key) -> Sequence[tuple[str, int, str]]:
    caller_id, start, account_id, model = key
    return (
        (ALL, start, ALL),
        (Dimension.CALLER.value, start, caller_id),
        (Dimension.ACCOUNT.value, start, account_id),
        (Dimension.MODEL.value, start, model),
    )


def _sums_of(hours: dict[_Key, _Sums], row: AttemptRow | RequestRow) -> _Sums:
    key = _key(row)
    found = hours.get(key)
    if found is None:
        found = hours[key] = [0] * _WIDTH
    return found


def _add_attempt(sums: _Sums, row: AttemptRow) -> None:
    used = row.usage
    sums[_ATTEMPTS] += 1
    counts = (used.input, used.cached, used.cache_write, used.output, used.reasoning)
    for place, count in enumerate(counts, start=_INPUT):
        sums[place] += count
    sums[_COST] += row.cost_nusd


def _add_request(sums: _Sums, row: RequestRow) -> None:
    sums[_REQUESTS] += 1
    sums[_ERRORS] += row.code != OK
    sums[_SECONDS] += row.seconds
    if row.first_event_s is not None:
        sums[_FIRST_EVENTS] += 1
        sums[_FIRST_EVENT_S] += row.first_event_s
        sums[_BUCKETS + bucket(row.first_event_s)] += 1


def _merged(
    parts: Mapping[_Key, _Sums], keys_of: Callable[[_Key], Iterable[_KeyT]]
) -> dict[_KeyT, _Sums]:
    """Return sums of sums: each part is added to all the keys that it belongs to."""
    merged: dict[_KeyT, _Sums] = {}
    for part, sums in parts.items():
        for key in keys_of(part):
            known = merged.get(key)
            # A list is never changed here, so parts may share it.
            merged[key] = sums if known is None else list(map(add, known, sums))
    return merged


def _rows(sums: Mapping[_KeyT, _Sums]) -> list[tuple[Any, ...]]:
    return [(*key, *values) for key, values in sorted(sums.items())]
