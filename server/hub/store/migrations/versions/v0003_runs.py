"""Runs of builds: what became of each, and which packages came out of it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the runs and their packages."""
    op.create_table(
        "run",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("pipeline", sa.String(length=64), nullable=False),
        sa.Column("trigger", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("code_version", sa.String(length=255), nullable=False),
        sa.Column("code_clean", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("reporter", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index(op.f("ix_run_pipeline_id"), "run", ["pipeline", "id"])
    op.create_table(
        "run_package",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.PrimaryKeyConstraint("digest", "run", name=op.f("pk_run_package")),
    )


def downgrade() -> None:
    """Forget the runs."""
    op.drop_table("run_package")
    op.drop_table("run")
