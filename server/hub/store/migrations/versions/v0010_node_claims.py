"""Packages that were assigned to a node, and whose a label is: how far a node is believed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NEW = ("source", "precedence", "waiting")


def upgrade() -> None:
    """Add the columns and the table; labels of before are only replaced by people."""
    op.add_column(
        "node", sa.Column("assigned", sa.JSON(), server_default=sa.text("'[]'"), nullable=False)
    )
    op.add_column(
        "label", sa.Column("source", sa.String(length=128), server_default="", nullable=False)
    )
    op.add_column(
        "label", sa.Column("precedence", sa.Integer(), server_default="2", nullable=False)
    )
    op.add_column(
        "label",
        sa.Column("waiting", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_table(
        "label_total",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_label_total")),
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_table("label_total")
    for column in _NEW:
        op.drop_column("label", column)
    op.drop_column("node", "assigned")
