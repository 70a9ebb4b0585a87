"""Rollouts that somebody has paused."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; no rollout is paused yet."""
    op.add_column("rollout", sa.Column("paused_at", sa.BigInteger(), nullable=True))
    op.add_column(
        "rollout", sa.Column("pause_reason", sa.String(), server_default="", nullable=False)
    )


def downgrade() -> None:
    """Forget it: gates decide again."""
    op.drop_column("rollout", "pause_reason")
    op.drop_column("rollout", "paused_at")
