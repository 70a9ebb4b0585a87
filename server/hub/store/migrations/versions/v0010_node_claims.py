"""Packages that were assigned to a node, and whose a label is: how far a node is believed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NEW = ("source", "precedence", "waiting")

#: The newest packages of a node that are remembered.
_REMEMBERED = 256

#: Packages that an environment's nodes were to run, the last that was decided last.
_ASSIGNED = """
    SELECT used.environment AS environment, version.digest AS digest FROM version
    JOIN (
        SELECT environment, model, version, started_at AS at FROM placement
        UNION ALL SELECT environment, model, champion, created_at FROM rollout
        UNION ALL SELECT environment, model, candidate, created_at FROM rollout
    ) AS used ON used.model = version.name AND used.version = version.version
    GROUP BY used.environment, version.digest
    ORDER BY MAX(used.at), version.digest
"""


def upgrade() -> None:
    """Add the columns and the table; labels of before are only replaced by people."""
    op.add_column(
        "node", sa.Column("assigned", sa.JSON(), server_default=sa.text("'[]'"), nullable=False)
    )
    _fill_assigned()
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


def _fill_assigned() -> None:
    """Assign to each node what its environment had, since telemetry of it may still wait there."""
    node = sa.table(
        "node",
        sa.column("environment", sa.String),
        sa.column("role", sa.String),
        sa.column("assigned", sa.JSON),
    )
    for environment, digests in _read_assigned().items():
        op.execute(
            node.update()
            .where(node.c.environment == environment, node.c.role == "node")
            .values(assigned=digests[-_REMEMBERED:])
        )


def _read_assigned() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in op.get_bind().execute(sa.text(_ASSIGNED)):
        found.setdefault(row.environment, []).append(row.digest)
    return found
