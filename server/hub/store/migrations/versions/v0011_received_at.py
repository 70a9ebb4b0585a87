"""When predictions and examples of refused requests arrived, by which they expire."""

import sqlalchemy as sa
from alembic import op

from gnomon.runtime.ids import now_ms

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TABLES = ("prediction", "refusal")


def upgrade() -> None:
    """Add the column; the rows of before arrived now, as far as is known."""
    for table in _TABLES:
        # By the default: no row has to be written, of which there may be many millions.
        op.add_column(
            table,
            sa.Column("received_at", sa.BigInteger(), server_default=str(now_ms()), nullable=False),
        )


def downgrade() -> None:
    """Forget it."""
    for table in _TABLES:
        op.drop_column(table, "received_at")
