"""Packages that a node refuses, one by one."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nodes fill it with their next call."""
    op.add_column(
        "node", sa.Column("refused", sa.JSON(), server_default=sa.text("'[]'"), nullable=False)
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_column("node", "refused")
