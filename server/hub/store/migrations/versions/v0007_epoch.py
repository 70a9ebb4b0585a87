"""The epoch of a hub's memory, which orders desired states before their generation does."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Begin the first epoch."""
    op.execute("INSERT INTO counter (name, value) VALUES ('epoch', 1)")


def downgrade() -> None:
    """Forget the epoch."""
    op.execute("DELETE FROM counter WHERE name = 'epoch'")
