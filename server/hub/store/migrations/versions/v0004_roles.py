"""Roles with scopes, approvals, decommissioned versions.

Who was an operator could do everything, so such a key is an admin's now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: Production asks for an approval of every tier that is not said to be harmless.
_EXEMPT = ["", "minimal", "low", "limited", "medium"]


def upgrade() -> None:
    """Make the tables, and turn each principal's role into a grant."""
    _create_tables()
    op.add_column("environment", sa.Column("exempt_tiers", sa.JSON(), nullable=True))
    environment = sa.table("environment", sa.column("name"), sa.column("exempt_tiers", sa.JSON))
    op.execute(
        environment.update().where(environment.c.name == "production").values(exempt_tiers=_EXEMPT)
    )
    for table in ("token", "node"):
        op.add_column(
            table, sa.Column("models", sa.String(length=64), server_default="*", nullable=False)
        )
    op.add_column(
        "trusted_key",
        sa.Column("role", sa.String(length=64), server_default="builder", nullable=False),
    )
    op.execute(
        "INSERT INTO role_grant (principal, role, models, environments, granted_at, actor) "
        "SELECT name, CASE role WHEN 'operator' THEN 'admin' ELSE role END, '*', '*', "
        "created_at, 'upgrade' FROM principal"
    )
    with op.batch_alter_table("principal") as principal:
        principal.drop_column("role")


def downgrade() -> None:
    """Give each principal one role again: operator if it may change anything."""
    with op.batch_alter_table("principal") as principal:
        principal.add_column(
            sa.Column("role", sa.String(length=64), server_default="viewer", nullable=False)
        )
    op.execute(
        "UPDATE principal SET role = 'operator' WHERE name IN "
        "(SELECT principal FROM role_grant WHERE role IN ('operator', 'admin'))"
    )
    with op.batch_alter_table("principal") as principal:
        principal.alter_column("role", server_default=None)
    op.drop_column("trusted_key", "role")
    for table in ("token", "node"):
        op.drop_column(table, "models")
    op.drop_column("environment", "exempt_tiers")
    for table in ("decommission", "approval", "role_grant"):
        op.drop_table(table)


def _create_tables() -> None:
    op.create_table(
        "role_grant",
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("models", sa.String(length=64), nullable=False),
        sa.Column("environments", sa.String(length=64), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint(
            "principal", "role", "models", "environments", name=op.f("pk_role_grant")
        ),
    )
    op.create_table(
        "approval",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("approver", sa.String(length=64), nullable=False),
        sa.Column("approved_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
    )
    op.create_index(
        op.f("ix_approval_model_version_environment"),
        "approval",
        ["model", "version", "environment"],
    )
    op.create_table(
        "decommission",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("decommissioned_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", name=op.f("pk_decommission")),
    )
