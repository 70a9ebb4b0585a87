"""Severity of alerts, alerts that stand for many nodes, and silences."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

#: Kinds of alerts that are not a warning.
_SEVERITIES = {
    "critical": ("nodes_silent",),
    "error": (
        "rows_refused",
        "error_rose",
        "rolled_back",
        "node_silent",
        "package_refused",
        "content_damaged",
        "evaluation_failed",
        "rollout_failed",
    ),
}


def upgrade() -> None:
    """Add columns and tables; alerts of before get the severity of their kind."""
    op.add_column(
        "alert", sa.Column("severity", sa.String(16), server_default="warning", nullable=False)
    )
    op.add_column(
        "alert", sa.Column("silenced_by", sa.String(26), server_default="", nullable=False)
    )
    alert = sa.table("alert", sa.column("kind"), sa.column("severity"))
    for severity, kinds in _SEVERITIES.items():
        op.execute(sa.update(alert).where(alert.c.kind.in_(kinds)).values(severity=severity))
    op.create_table(
        "alert_node",
        sa.Column("alert", sa.String(26), nullable=False),
        sa.Column("node", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("alert", "node", name="pk_alert_node"),
    )
    op.create_table(
        "silence",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("models", sa.String(64), nullable=False),
        sa.Column("kinds", sa.String(64), nullable=False),
        sa.Column("sources", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_silence"),
    )
    op.create_index("ix_silence_ends_at", "silence", ["ends_at"])
    op.add_column(
        "webhook", sa.Column("format", sa.String(16), server_default="gnomon", nullable=False)
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_column("webhook", "format")
    op.drop_table("silence")
    op.drop_table("alert_node")
    op.drop_column("alert", "silenced_by")
    op.drop_column("alert", "severity")
