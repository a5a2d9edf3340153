"""Logins in progress, so that another worker than the one that began one can finish it.

Only adds: a process of the version before keeps its own logins in memory.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "logins",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("login", sa.LargeBinary, nullable=False),
    )
