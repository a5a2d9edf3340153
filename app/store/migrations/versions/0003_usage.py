"""Requests with their attempts, sums of them, the journal's positions, prices, limits of keys.

Only adds: a process of the version before goes on reading and writing what it knows.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _limit_keys()
    _create_requests()
    _create_attempts()
    for name in ("usage_hours", "usage_days"):
        _create_usage(name)
    for name in ("hour_totals", "day_totals"):
        _create_totals(name)
    _create_errors()
    op.create_table(
        "journal_positions",
        sa.Column("segment", sa.String(128), primary_key=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("done_at", sa.Double, nullable=False),
    )
    op.create_table(
        "prices",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )


def _limit_keys() -> None:
    limits = ("requests_per_minute", "tokens_per_minute", "concurrency_max")
    for name in (*limits, "day_nusd", "month_nusd"):
        op.add_column("keys", sa.Column(name, sa.BigInteger))
    for name in ("endpoints", "networks"):
        op.add_column("keys", sa.Column(name, sa.Text, nullable=False, server_default="[]"))


def _create_requests() -> None:
    op.create_table(
        "requests",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("caller_id", sa.String(32)),
        sa.Column("account_id", sa.String(32)),
        sa.Column("dialect", sa.String(32), nullable=False),
        sa.Column("model", sa.String(256)),
        sa.Column("asked_model", sa.Text),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        *_tokens(),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("queue_s", sa.Double, nullable=False),
        sa.Column("first_event_s", sa.Double),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("added_s", sa.Double),
        sa.Column("interrupted", sa.Boolean, nullable=False),
    )
    op.create_index("requests_by_age", "requests", ["at"])
    op.create_index("requests_by_caller", "requests", ["caller_id", "at"])
    op.create_index("requests_by_account", "requests", ["account_id", "at"])


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("caller_id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("code", sa.String(64)),
        *_tokens(),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("prices", sa.Integer, nullable=False),
        sa.Column("queue_s", sa.Double, nullable=False),
        sa.Column("first_event_s", sa.Double),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("delivered", sa.Boolean, nullable=False),
    )
    op.create_index("attempts_by_age", "attempts", ["at"])
    op.create_index("attempts_by_account", "attempts", ["account_id", "at"])


def _create_usage(name: str) -> None:
    _create_sums(
        name,
        sa.Column("caller_id", sa.String(32), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("account_id", sa.String(32), primary_key=True),
        sa.Column("model", sa.String(256), primary_key=True),
    )
    op.create_index(f"{name}_by_account", name, ["account_id", "start"])
    op.create_index(f"{name}_by_model", name, ["model", "start"])
    op.create_index(f"{name}_by_age", name, ["start"])


def _create_totals(name: str) -> None:
    _create_sums(
        name,
        sa.Column("dimension", sa.String(16), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(256), primary_key=True),
    )
    op.create_index(f"{name}_by_age", name, ["start"])


def _create_sums(name: str, *key: sa.Column[Any]) -> None:
    counts = ("requests", "errors", "attempts")
    histogram = [f"first_event_{number:02}" for number in range(12)]
    op.create_table(
        name,
        *key,
        *(sa.Column(each, sa.BigInteger, nullable=False) for each in counts),
        *_tokens(),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("first_events", sa.BigInteger, nullable=False),
        sa.Column("first_event_s", sa.Double, nullable=False),
        *(sa.Column(each, sa.BigInteger, nullable=False) for each in histogram),
    )


def _create_errors() -> None:
    op.create_table(
        "error_hours",
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("code", sa.String(64), primary_key=True),
        sa.Column("caller_id", sa.String(32), primary_key=True),
        sa.Column("account_id", sa.String(32), primary_key=True),
        sa.Column("model", sa.String(256), primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "error_totals",
        sa.Column("dimension", sa.String(16), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(256), primary_key=True),
        sa.Column("code", sa.String(64), primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
    )
    op.create_index("error_totals_by_age", "error_totals", ["start"])


def _tokens() -> list[sa.Column[int]]:
    names = ("input", "cached", "cache_write", "output", "reasoning", "cost_nusd")
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]
