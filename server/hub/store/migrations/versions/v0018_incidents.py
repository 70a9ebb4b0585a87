"""Incidents and their notes."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "incident",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("alert", sa.String(26), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_by", sa.String(64), nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("resolved_by", sa.String(64), server_default="", nullable=False),
        sa.Column("cause", sa.String(32), server_default="", nullable=False),
        sa.Column("root_cause", sa.String(), server_default="", nullable=False),
        sa.Column("resolution", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
    )
    op.create_index("ix_incident_alert", "incident", ["alert"])
    op.create_table(
        "incident_note",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("incident", sa.String(26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_incident_note"),
    )
    op.create_index("ix_incident_note_incident", "incident_note", ["incident"])


def downgrade() -> None:
    """Forget them; the audit chain still has them."""
    op.drop_table("incident_note")
    op.drop_table("incident")
