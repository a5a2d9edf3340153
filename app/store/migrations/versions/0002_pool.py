"""Groups, tags and thresholds of accounts and keys; what a renewal's event says of the next try.

Only adds: a process of the version before, if one still runs, goes on reading and writing these
rows, and what it leaves out gets the defaults below.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("accounts", _names("groups"))
    op.add_column("accounts", _names("tags"))
    op.add_column("accounts", sa.Column("pause_at", sa.Double))
    op.add_column("keys", _names("groups"))
    op.add_column("keys", _names("tags"))
    op.add_column("account_events", sa.Column("code", sa.String(64)))
    op.add_column("account_events", sa.Column("next_at", sa.Double))
    op.add_column(
        "account_events", sa.Column("count", sa.Integer, nullable=False, server_default="1")
    )
    op.create_index("account_events_by_age", "account_events", ["at"])


def _names(column: str) -> sa.Column[str]:
    return sa.Column(column, sa.Text, nullable=False, server_default="[]")
