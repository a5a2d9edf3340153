"""Small databases with the tables of other products, as far as they are read."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from cryptography.fernet import Fernet

GO_SQLITE = """
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, platform TEXT, type TEXT, credentials TEXT,
    proxy_url TEXT, status TEXT, enabled INTEGER, tags TEXT, base_concurrency_override INTEGER,
    deleted_at TIMESTAMP, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, key TEXT, quota_limit REAL, quota_used REAL,
    expires_at TIMESTAMP, allowed_group_ids TEXT, limits TEXT
);
CREATE TABLE account_groups (id INTEGER PRIMARY KEY, name TEXT, color TEXT);
CREATE TABLE account_group_members (account_id INTEGER, group_id INTEGER);
CREATE TABLE usage_logs (id INTEGER PRIMARY KEY, account_id INTEGER);
"""
GO_POSTGRES = (
    GO_SQLITE.replace("INTEGER PRIMARY KEY AUTOINCREMENT", "SERIAL PRIMARY KEY")
    .replace("enabled INTEGER", "enabled BOOLEAN")
    .replace("quota_limit REAL, quota_used REAL", "quota_limit FLOAT8, quota_used FLOAT8")
    .replace("TIMESTAMP", "TIMESTAMPTZ")
    .replace("CURRENT_TIMESTAMPTZ", "CURRENT_TIMESTAMP")
    .replace("credentials TEXT", "credentials JSONB")
    .replace("tags TEXT", "tags JSONB")
    .replace("limits TEXT", "limits JSONB")
    .replace("allowed_group_ids TEXT", "allowed_group_ids JSONB")
)
CODEX_LB = """
CREATE TABLE accounts (
    id VARCHAR PRIMARY KEY, chatgpt_account_id VARCHAR, chatgpt_user_id VARCHAR, email VARCHAR,
    alias VARCHAR, plan_type VARCHAR, routing_policy VARCHAR, access_token_encrypted BLOB,
    refresh_token_encrypted BLOB, id_token_encrypted BLOB, status VARCHAR,
    delete_requested_at DATETIME
);
CREATE TABLE api_keys (
    id VARCHAR PRIMARY KEY, name VARCHAR, key_hash VARCHAR, key_prefix VARCHAR,
    allowed_models TEXT, enforced_model VARCHAR, account_assignment_scope_enabled BOOLEAN,
    expires_at DATETIME, is_active BOOLEAN
);
CREATE TABLE api_key_limits (
    id INTEGER PRIMARY KEY, api_key_id VARCHAR, limit_type VARCHAR, limit_window VARCHAR,
    max_value BIGINT, model_filter VARCHAR
);
CREATE TABLE account_proxy_bindings (id VARCHAR, account_id VARCHAR, is_active BOOLEAN);
CREATE TABLE model_sources (id VARCHAR, name VARCHAR);
CREATE TABLE alembic_version (version_num VARCHAR);
"""
LITELLM = """
CREATE TABLE "LiteLLM_VerificationToken" (
    token TEXT PRIMARY KEY, key_name TEXT, key_alias TEXT, spend FLOAT, expires TIMESTAMP,
    models TEXT, team_id TEXT, blocked BOOLEAN, budget_id TEXT, max_budget FLOAT,
    budget_duration TEXT, tpm_limit BIGINT, rpm_limit BIGINT, max_parallel_requests INTEGER,
    allowed_routes TEXT, model_max_budget TEXT
);
CREATE TABLE "LiteLLM_BudgetTable" (
    budget_id TEXT PRIMARY KEY, max_budget FLOAT, budget_duration TEXT, tpm_limit BIGINT,
    rpm_limit BIGINT, max_parallel_requests INTEGER
);
CREATE TABLE "LiteLLM_TeamTable" (
    team_id TEXT PRIMARY KEY, team_alias TEXT, models TEXT, max_budget FLOAT, tpm_limit BIGINT
);
CREATE TABLE "LiteLLM_ProxyModelTable" (model_id TEXT, model_name TEXT);
"""
FERNET_KEY = Fernet.generate_key().decode()

Rows = dict[str, list[dict[str, Any]]]


def go_rows(token: str) -> Rows:
    """Return an account in a group, and a key for that group."""
    credentials = {"refresh_token": "rt_go", "access_token": token, "plan_type": "plus"}
    return {
        "accounts": [
            {"id": 1, "name": "one", "platform": "openai", "credentials": credentials,
             "proxy_url": "socks5://u:p@proxy.example:1080", "status": "active", "enabled": True,
             "tags": ["eu"], "base_concurrency_override": 4},
        ],
        "api_keys": [
            {"id": 1, "name": "ci", "key": "sk-of-the-go-version", "allowed_group_ids": [7],
             "limits": {"rpm": 60, "cost_limit_daily": 2.5}},
        ],
        "account_groups": [{"id": 7, "name": "team a"}],
        "account_group_members": [{"account_id": 1, "group_id": 7}],
    }  # fmt: skip


def codex_lb_rows(token: str, *, key: str = FERNET_KEY) -> Rows:
    """Return an account and a key with budgets."""
    fernet = Fernet(key)
    sealed = {
        f"{name}_encrypted": fernet.encrypt(text.encode())
        for name, text in (("access_token", token), ("refresh_token", "rt_lb"), ("id_token", ""))
    }
    return {
        "accounts": [{"id": "a1", "email": "a@example.com", "status": "active", **sealed}],
        "api_keys": [
            {"id": "k1", "name": "ci", "key_hash": "0" * 64, "key_prefix": "sk-clb-",
             "is_active": 1, "allowed_models": '["gpt-5"]', "expires_at": "2100-01-01 00:00:00"},
        ],
        "api_key_limits": [
            {"id": 1, "api_key_id": "k1", "limit_type": "cost_usd", "limit_window": "daily",
             "max_value": 2_500_000},
        ],
    }  # fmt: skip


def litellm_rows() -> Rows:
    """Return a key with limits."""
    return {
        "LiteLLM_VerificationToken": [
            {"token": "0" * 64, "key_name": "sk-...abcd", "key_alias": "ci", "spend": 0.0,
             "models": '["gpt-5"]', "max_budget": 10.0, "budget_duration": "30d", "rpm_limit": 60,
             "tpm_limit": 1000},
        ],
    }  # fmt: skip


def sqlite_source(path: Path, schema: str, rows: Rows) -> Path:
    """Make a SQLite file with these tables and rows."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(schema)
        for table, each in rows.items():
            for row in each:
                names = ", ".join(row)
                marks = ", ".join("?" * len(row))
                values = [_plain(value) for value in row.values()]
                insert = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'  # noqa: S608 - our own
                connection.execute(insert, values)
    return path


def postgres_source(url: str, schema: str, rows: Rows) -> None:
    """Fill an empty Postgres database with these tables and rows. Not from within an event loop."""
    asyncio.run(_fill(url, schema, rows))


async def _fill(url: str, schema: str, rows: Rows) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(schema)
        for table, listed in rows.items():
            for row in listed:
                names = ", ".join(row)
                marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
                values = [
                    value if isinstance(value, bool) else _plain(value) for value in row.values()
                ]
                insert = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'  # noqa: S608 - our own
                await connection.execute(insert, *values)
    finally:
        await connection.close()


def _plain(value: Any) -> Any:
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return value
