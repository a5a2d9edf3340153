"""What an account with an API key is besides: its names of models, its organization and project.

Only adds: a process of the version before, if one still runs, goes on reading and writing these
rows, and what it leaves out gets the defaults below.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("model_map", sa.Text, nullable=False, server_default="{}"))
    op.add_column("accounts", sa.Column("organization", sa.Text))
    op.add_column("accounts", sa.Column("project", sa.Text))
