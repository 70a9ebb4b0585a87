"""The key of a name's enrolment; unknown for those who enrolled before."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "node", sa.Column("key_hash", sa.String(length=64), server_default="", nullable=False)
    )


def downgrade() -> None:
    """Remove the column."""
    op.drop_column("node", "key_hash")
