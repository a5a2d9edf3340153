"""Tests of app.store.usage_rows."""

from math import inf, nan

import pytest
from msgspec.structs import replace
from sqlalchemy import Boolean, String

from app.domain.usage import Usage
from app.store.tables import attempts, requests
from app.store.usage_rows import (
    COUNT_MAX,
    attempt_flaw,
    attempt_values,
    request_flaw,
    request_values,
)
from tests.store.calls import ATTEMPT, REQUEST


@pytest.mark.parametrize(
    ("table", "values"), [(attempts, attempt_values(ATTEMPT)), (requests, request_values(REQUEST))]
)
def test_values_stand_in_the_order_of_the_columns(table, values) -> None:
    """Every column gets the value of its own kind."""
    assert len(values) == len(table.columns)
    for column, value in zip(table.columns, values, strict=True):
        if value is not None:
            assert isinstance(value, str) is isinstance(column.type, String)
            assert isinstance(value, bool) is isinstance(column.type, Boolean)


def test_a_good_row_has_no_flaw() -> None:
    """Also one that has none of what may be missing, and one at every bound."""
    assert attempt_flaw(attempt_values(ATTEMPT)) is None
    assert request_flaw(request_values(REQUEST)) is None
    bare = replace(
        REQUEST,
        caller_id=None,
        account_id=None,
        model=None,
        asked_model=None,
        first_event_s=None,
        added_s=-0.001,
        status=0,
    )
    assert request_flaw(request_values(bare)) is None
    full = replace(ATTEMPT, usage=Usage(input=COUNT_MAX), cost_nusd=COUNT_MAX, model="m" * 256)
    assert attempt_flaw(attempt_values(full)) is None


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"uid": "u" * 65}, "uid has 65 characters, of which 64 are allowed"),
        ({"model": "m" * 257}, "model has 257 characters"),
        ({"code": "a\0b"}, "code has a NUL character"),
        ({"caller_id": None}, "caller_id is missing"),
        ({"usage": Usage(output=-1)}, "output is -1, which is out of bounds"),
        ({"usage": Usage(input=COUNT_MAX + 1)}, "input is"),
        ({"cost_nusd": 1 << 70}, "cost_nusd is"),
        ({"number": 1 << 31}, "number is"),
        ({"seconds": nan}, "seconds is nan"),
        ({"queue_s": inf}, "queue_s is inf"),
        ({"at": -inf}, "at is -inf"),
        ({"first_event_s": 1e12}, "first_event_s is"),
    ],
)
def test_what_no_row_can_be_is_a_flaw(changes, flaw: str) -> None:
    """One value that is no number would spoil a sum for ever; the column is named."""
    found = attempt_flaw(attempt_values(replace(ATTEMPT, **changes)))
    assert found is not None
    assert found.startswith(flaw)


def test_texts_without_a_bound_are_still_texts() -> None:
    """Names that callers chose have no length of their own here, but no NUL either."""
    long = replace(REQUEST, request_id="r" * 5_000)
    assert request_flaw(request_values(long)) is None
    assert request_flaw(request_values(replace(REQUEST, asked_model="\0"))) == (
        "asked_model has a NUL character"
    )
