"""Accounts, their credentials and events, callers' keys, settings, and what guards them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_accounts()
    _create_keys()
    op.create_table(
        "settings",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
    op.create_table(
        "sealed",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    counter = op.create_table(
        "revision",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Integer, nullable=False),
    )
    op.execute(counter.insert().values(id=1, value=1))


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("identity", sa.String(512), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("base_url", sa.Text),
        sa.Column("chatgpt_account_id", sa.Text),
        sa.Column("chatgpt_user_id", sa.Text),
        sa.Column("email", sa.Text),
        sa.Column("plan", sa.Text),
        sa.Column("fedramp", sa.Boolean, nullable=False),
        sa.Column("proxy_url", sa.LargeBinary),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("concurrency_max", sa.Integer, nullable=False),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    account = sa.ForeignKey("accounts.id", ondelete="CASCADE")
    op.create_table(
        "credentials",
        sa.Column("account_id", sa.String(32), account, primary_key=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("access_token", sa.LargeBinary, nullable=False),
        sa.Column("refresh_token", sa.LargeBinary),
        sa.Column("id_token", sa.LargeBinary),
        sa.Column("expires_at", sa.Double),
        sa.Column("renewed_at", sa.Double, nullable=False),
        sa.Column("refused_code", sa.Text),
        sa.Column("refused_at", sa.Double),
        sa.Column("dead", sa.Boolean, nullable=False),
        sa.Column("intended_generation", sa.Integer),
        sa.Column("intended_at", sa.Double),
        sa.Column("intended_by", sa.String(32)),
    )
    account = sa.ForeignKey("accounts.id", ondelete="CASCADE")
    op.create_table(
        "account_events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("account_id", sa.String(32), account, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("account_events_by_account", "account_events", ["account_id", "id"])


def _create_keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("pepper", sa.Integer, nullable=False),
        sa.Column("tail", sa.String(4), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double),
    )
