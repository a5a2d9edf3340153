"""The tables, once for every database: what the rows are, not how they came to be.

Columns of type `LargeBinary` in `accounts`, `credentials` and `sealed` are records of
`app.store.keyring`; nothing else in here is secret. Points in time are epoch seconds. The steps
from one form of the tables to the next are in `migrations`; a test holds both together.
"""

from sqlalchemy import (
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
    Column("models", Text, nullable=False),
    Column("created_at", Double, nullable=False),
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
    Index("account_events_by_account", "account_id", "id"),
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
    Column("created_at", Double, nullable=False),
    # A revoked key's row stays, so that a key from the environment is not made again.
    Column("revoked_at", Double),
)

settings = Table(
    "settings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("updated_at", Double, nullable=False),
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
