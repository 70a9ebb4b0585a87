"""The models that a trusted key signs for."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; keys of before sign for all models, as they did."""
    op.add_column(
        "trusted_key",
        sa.Column("models", sa.String(length=64), server_default="*", nullable=False),
    )


def downgrade() -> None:
    """Forget it; keys that sign for some models are revoked, since they would sign for all."""
    op.execute("UPDATE trusted_key SET revoked_at = added_at WHERE models <> '*'")
    op.drop_column("trusted_key", "models")
