"""Environments: nodes, placements and rollouts have one; what was there is in production."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = ("token", "node", "window", "placement", "rollout")
_NAMES = ("development", "test", "staging", "production")
_DAY_KEY = ["day", "model", "version", "node", "shadow"]

#: Index → its table, and of which rows it holds that they are unique.
_UNIQUE = {
    "uq_placement_now": ("placement", "ended_at IS NULL"),
    "uq_rollout_active": ("rollout", "state IN ('pending', 'running')"),
}


def upgrade() -> None:
    """Add the environments, and put all that there is into production."""
    environment = op.create_table(
        "environment",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_environment")),
    )
    op.bulk_insert(
        environment,
        [
            {"name": name, "position": position, "created_at": 0}
            for position, name in enumerate(_NAMES)
        ],
    )
    for table in _TABLES:
        op.add_column(table, _environment())
    _make_unique(["model", "environment"])
    with op.batch_alter_table("daily") as daily:
        daily.add_column(_environment())
        daily.drop_constraint("pk_daily", type_="primary")
        daily.create_primary_key("pk_daily", [*_DAY_KEY, "environment"])


def downgrade() -> None:
    """Forget the environments; only what is in production stays."""
    for table in ("placement", "rollout", "daily"):
        op.execute(f"DELETE FROM {table} WHERE environment <> 'production'")  # noqa: S608
    with op.batch_alter_table("daily") as daily:
        daily.drop_constraint("pk_daily", type_="primary")
        daily.create_primary_key("pk_daily", _DAY_KEY)
        daily.drop_column("environment")
    _make_unique(["model"])
    for table in _TABLES:
        op.drop_column(table, "environment")
    op.drop_table("environment")


def _environment() -> sa.Column[str]:
    return sa.Column(
        "environment", sa.String(length=64), server_default="production", nullable=False
    )


def _make_unique(columns: list[str]) -> None:
    for name, (table, rows) in _UNIQUE.items():
        op.drop_index(name, table)
        op.create_index(
            name,
            table,
            columns,
            unique=True,
            sqlite_where=sa.text(rows),
            postgresql_where=sa.text(rows),
        )
