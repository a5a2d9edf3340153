"""Tests of app.store.tables."""

import pytest
from sqlalchemy import BigInteger

from app.store import tables

COUNTED = ("input", "cached", "cache_write", "output", "reasoning", "cost_nusd")
SUMS = (tables.usage_hours, tables.usage_days, tables.hour_totals, tables.day_totals)


@pytest.mark.parametrize(
    "table", [tables.requests, tables.attempts, *SUMS], ids=lambda table: table.name
)
def test_tokens_and_money_have_room_for_years(table):
    """Sums of nano-dollars outgrow 32 bits with the third dollar."""
    assert all(isinstance(table.c[name].type, BigInteger) for name in COUNTED)


@pytest.mark.parametrize("table", SUMS, ids=lambda table: table.name)
def test_sums_are_found_by_their_time(table):
    """Retention deletes by it and every page asks by it."""
    led = {next(iter(index.columns)).name for index in table.indexes}
    assert "start" in led
    assert "start" in table.primary_key.columns


def test_rows_about_calls_outlive_accounts_and_keys():
    """Deleting an account must not delete what it cost."""
    assert not tables.requests.foreign_keys
    assert not tables.attempts.foreign_keys
