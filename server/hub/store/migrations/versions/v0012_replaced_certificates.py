"""The certificate that a name had before, until the first call with the present one."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; which certificate of its key a node has at this moment is not known."""
    op.add_column("node", sa.Column("former_serial", sa.String(length=64), nullable=True))
    op.add_column(
        "node", sa.Column("superseded_at", sa.BigInteger(), server_default="0", nullable=False)
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_column("node", "superseded_at")
    op.drop_column("node", "former_serial")
