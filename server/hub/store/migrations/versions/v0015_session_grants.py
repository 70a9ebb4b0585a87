"""What the issuer of a session's user granted, for users that the hub does not list."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; sessions of before are of the hub's own principals."""
    op.add_column("web_session", sa.Column("grants", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Forget it; sessions with such grants end, since they are of no principal."""
    op.execute("DELETE FROM web_session WHERE principal LIKE 'oidc:%'")
    op.drop_column("web_session", "grants")
