"""The tables, once for every database: what the rows are, not how they came to be.

Columns of type `LargeBinary` in `accounts`, `credentials` and `sealed` are records of
`app.store.keyring`; nothing else in here is secret. Points in time are epoch seconds, money is
nano-dollars. The steps from one form of the tables to the next are in `migrations`; a test holds
both together.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(32), primary_key=True),
    # What makes two imports the same account; see `app.store.accounts.identity`.
    Column("identity", String(512), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("base_url", Text),
    Column("chatgpt_account_id", Text),
    Column("chatgpt_user_id", Text),
    Column("email", Text),
    Column("plan", Text),
    Column("fedramp", Boolean, nullable=False),
    # Sealed, since proxy URLs carry passwords.
    Column("proxy_url", LargeBinary),
    Column("enabled", Boolean, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("concurrency_max", Integer, nullable=False),
    # Lists of names are JSON, here and in `keys`.
    Column("models", Text, nullable=False),
    Column("groups", Text, nullable=False, server_default="[]"),
    Column("tags", Text, nullable=False, server_default="[]"),
    Column("pause_at", Double),
    Column("created_at", Double, nullable=False),
    # The pool's names of models to the account's own, a JSON object.
    Column("model_map", Text, nullable=False, server_default="{}"),
    Column("organization", Text),
    Column("project", Text),
    # Grows with every change by an operator, here and in `keys` and `settings`.
    Column("version", Integer, nullable=False, server_default="0"),
)

credentials = Table(
    "credentials",
    metadata,
    Column(
        "account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    ),
    # Grows with every write of the three records below, and is bound into each of them.
    Column("generation", Integer, nullable=False),
    Column("access_token", LargeBinary, nullable=False),
    Column("refresh_token", LargeBinary),
    Column("id_token", LargeBinary),
    Column("expires_at", Double),
    Column("renewed_at", Double, nullable=False),
    # The last renewal's failure; cleared by the next success.
    Column("refused_code", Text),
    Column("refused_at", Double),
    Column("dead", Boolean, nullable=False),
    # The generation whose refresh token is being spent, noted before it leaves.
    Column("intended_generation", Integer),
    Column("intended_at", Double),
    # The process that noted it, by a name that it drew at its start.
    Column("intended_by", String(32)),
)

account_events = Table(
    "account_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("at", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    # How a renewal ended, and when the next one is planned.
    Column("code", String(64)),
    Column("next_at", Double),
    # Equal failures in a row are one row; `at` is the last of them.
    Column("count", Integer, nullable=False, server_default="1"),
    Index("account_events_by_account", "account_id", "id"),
    Index("account_events_by_age", "at"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    # HMAC-SHA256 of the key under the pepper of this version; the key itself is nowhere.
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("pepper", Integer, nullable=False),
    # The last four characters, for people; empty for keys so short that four would give them away.
    Column("tail", String(4), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("expires_at", Double),
    Column("models", Text, nullable=False),
    Column("groups", Text, nullable=False, server_default="[]"),
    Column("tags", Text, nullable=False, server_default="[]"),
    Column("created_at", Double, nullable=False),
    # A revoked key's row stays, so that a key from the environment is not made again.
    Column("revoked_at", Double),
    # What the key may spend; null means without a limit.
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("concurrency_max", BigInteger),
    Column("day_nusd", BigInteger),
    Column("month_nusd", BigInteger),
    Column("endpoints", Text, nullable=False, server_default="[]"),
    Column("networks", Text, nullable=False, server_default="[]"),
    Column("version", Integer, nullable=False, server_default="0"),
)

settings = Table(
    "settings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("version", Integer, nullable=False, server_default="0"),
)

sealed = Table(
    "sealed",
    metadata,
    # "sentinel", which proves the keyring at start, or "pepper-<version>".
    Column("id", String(32), primary_key=True),
    Column("record", LargeBinary, nullable=False),
)

revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Grows with every write that a running gateway must see.
    Column("value", Integer, nullable=False),
)


def _tokens() -> list[Column[int]]:
    """Return the columns of what was used and what it cost."""
    names = ("input", "cached", "cache_write", "output", "reasoning", "cost_nusd")
    return [Column(name, BigInteger, nullable=False) for name in names]


# Rows about calls name accounts and keys without referring to them: they outlive both.
requests = Table(
    "requests",
    metadata,
    Column("uid", String(64), primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("caller_id", String(32)),
    Column("account_id", String(32)),
    Column("dialect", String(32), nullable=False),
    Column("model", String(256)),
    Column("asked_model", Text),
    Column("stream", Boolean, nullable=False),
    # 0 where nobody knows what the caller saw.
    Column("status", Integer, nullable=False),
    Column("code", String(64), nullable=False),
    Column("attempts", Integer, nullable=False),
    *_tokens(),
    Column("source", String(16), nullable=False),
    Column("queue_s", Double, nullable=False),
    Column("first_event_s", Double),
    Column("seconds", Double, nullable=False),
    Column("added_s", Double),
    Column("interrupted", Boolean, nullable=False),
    Index("requests_by_age", "at"),
    Index("requests_by_caller", "caller_id", "at"),
    Index("requests_by_account", "account_id", "at"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("uid", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("caller_id", String(32), nullable=False),
    Column("account_id", String(32), nullable=False),
    Column("model", String(256), nullable=False),
    Column("outcome", String(64), nullable=False),
    Column("code", String(64)),
    *_tokens(),
    Column("source", String(16), nullable=False),
    # The version of the row in `prices` that the cost was made with.
    Column("prices", Integer, nullable=False),
    Column("queue_s", Double, nullable=False),
    Column("first_event_s", Double),
    Column("seconds", Double, nullable=False),
    Column("delivered", Boolean, nullable=False),
    Index("attempts_by_age", "at"),
    Index("attempts_by_account", "account_id", "at"),
)

FIRST_EVENT_COLUMNS: Final = tuple(f"first_event_{number:02}" for number in range(12))
"""Counts of a histogram; `app.store.rollups` has the bounds."""


def _sums(name: str, *key: Column[Any]) -> Table:
    """Return a table of sums over the calls that began in an hour or a day of UTC."""
    return Table(
        name,
        metadata,
        *key,
        *(Column(each, BigInteger, nullable=False) for each in ("requests", "errors", "attempts")),
        *_tokens(),
        Column("seconds", Double, nullable=False),
        Column("first_events", BigInteger, nullable=False),
        Column("first_event_s", Double, nullable=False),
        *(Column(each, BigInteger, nullable=False) for each in FIRST_EVENT_COLUMNS),
    )


def _usage(name: str) -> Table:
    """Return a table of sums by all that calls can be told apart by; empty where there is none."""
    table = _sums(
        name,
        Column("caller_id", String(32), primary_key=True),
        Column("start", BigInteger, primary_key=True, autoincrement=False),
        Column("account_id", String(32), primary_key=True),
        Column("model", String(256), primary_key=True),
    )
    Index(f"{name}_by_account", table.c.account_id, table.c.start)
    Index(f"{name}_by_model", table.c.model, table.c.start)
    Index(f"{name}_by_age", table.c.start)
    return table


def _totals(name: str) -> Table:
    """Return a table of sums by one thing at a time.

    There are as many rows as there are callers, accounts and models, not as there are combinations
    of them. `dimension` names the column of the other tables that `id` is from; both are empty in
    the row of all calls.
    """
    table = _sums(
        name,
        Column("dimension", String(16), primary_key=True),
        Column("start", BigInteger, primary_key=True, autoincrement=False),
        Column("id", String(256), primary_key=True),
    )
    Index(f"{name}_by_age", table.c.start)
    return table


usage_hours = _usage("usage_hours")
usage_days = _usage("usage_days")
hour_totals = _totals("hour_totals")
day_totals = _totals("day_totals")

# Requests that did not end well, by hours: by all together, and by one thing at a time as above.
error_hours = Table(
    "error_hours",
    metadata,
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("code", String(64), primary_key=True),
    Column("caller_id", String(32), primary_key=True),
    Column("account_id", String(32), primary_key=True),
    Column("model", String(256), primary_key=True),
    Column("requests", BigInteger, nullable=False),
)

error_totals = Table(
    "error_totals",
    metadata,
    Column("dimension", String(16), primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String(256), primary_key=True),
    Column("code", String(64), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Index("error_totals_by_age", "start"),
)

journal_positions = Table(
    "journal_positions",
    metadata,
    Column("segment", String(128), primary_key=True),
    # How far the segment has been read into the tables above.
    Column("offset", BigInteger, nullable=False),
    Column("done_at", Double, nullable=False),
)

administrator = Table(
    "administrator",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Argon2id, with its parameters and its salt.
    Column("password_hash", Text, nullable=False),
    Column("set_at", Double, nullable=False),
    # The latest time step whose one-time code was taken: a code is good for one login.
    Column("totp_step", BigInteger, nullable=False, server_default="0"),
)

admin_sessions = Table(
    "admin_sessions",
    metadata,
    # SHA-256 of what the cookie holds, in hexadecimal; the cookie's content is nowhere.
    Column("digest", String(64), primary_key=True),
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("ip", String(64), nullable=False),
    Column("user_agent", Text, nullable=False),
)

# Only ever added to, until an entry is too old.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("ip", String(64), nullable=False),
    Column("request_id", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", Text, nullable=False),
    # What it was before and after, as JSON; never a secret.
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    # Of who asked and the key that was given; the fingerprint is of the request itself.
    Column("id", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("at", Double, nullable=False),
    # Null while the request is under way. The answer is sealed, as it may hold a new key; a
    # rotation leaves it as it is, for it lives a day.
    Column("status", Integer),
    Column("answer", LargeBinary),
    Index("idempotency_by_age", "at"),
)

logins = Table(
    "logins",
    metadata,
    # A digest of what names it. The text is sealed; a rotation leaves it, for it lives minutes.
    Column("id", String(64), primary_key=True),
    Column("expires_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("login", LargeBinary, nullable=False),
)

prices = Table(
    "prices",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("document", Text, nullable=False),
)
