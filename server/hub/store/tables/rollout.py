"""Environments, placements and rollouts."""

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Table, text

from gnomon.server.hub.store.tables import column_types
from gnomon.server.hub.store.text import StorableText

#: Places in which versions are rolled out; each node belongs to one.
environment = Table(
    "environment",
    column_types.metadata,
    column_types.name("name", primary_key=True),
    Column("position", Integer, nullable=False),  # the order in which they are shown
    # The risk tiers that need no approval here; null: none does.
    Column("exempt_tiers", JSON(none_as_null=True), nullable=True),
    column_types.time("created_at"),
)

#: Which version of a model is, or was, in service in an environment.
placement = Table(
    "placement",
    column_types.metadata,
    column_types.identifier(),
    column_types.name("model"),
    column_types.name("version"),
    column_types.environment(),
    column_types.time("started_at"),
    column_types.time("ended_at", nullable=True),
    column_types.name("actor"),
    Index(
        "uq_placement_now",
        "model",
        "environment",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(None, "model", "started_at"),
)

#: The move from the version in service to another. Active: `pending` and `running`.
rollout = Table(
    "rollout",
    column_types.metadata,
    column_types.identifier(),
    column_types.name("model"),
    column_types.name("champion"),  # versions
    column_types.name("candidate"),
    column_types.environment(),
    Column("state", StorableText(16), nullable=False),  # store.rollout_state.RolloutState
    Column("weight", Integer, nullable=False),  # of the candidate now, parts in 1,000
    Column("shadow", Integer, nullable=False),  # sampled share the candidate sees, parts in 1,000
    Column("step", Integer, nullable=False),  # index in the plan
    Column("plan", JSON, nullable=False),
    column_types.time("created_at"),
    column_types.time("updated_at"),
    column_types.time("ended_at", nullable=True),
    column_types.name("actor"),
    Column("reason", StorableText, nullable=False, server_default=""),
    column_types.time("paused_at", nullable=True),
    Column("pause_reason", StorableText, nullable=False, server_default=""),  # who, and why
    Index(
        "uq_rollout_active",
        "model",
        "environment",
        unique=True,
        sqlite_where=text("state IN ('pending', 'running')"),
        postgresql_where=text("state IN ('pending', 'running')"),
    ),
)

#: Written as in the index that the table has, or that is not used.
IS_ACTIVE = text("rollout.state IN ('pending', 'running')")

#: A rollout's history: each step entered, with what its gate saw when it was left.
rollout_step = Table(
    "rollout_step",
    column_types.metadata,
    Column("rollout", StorableText(26), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("weight", Integer, nullable=False),
    Column("shadow", Integer, nullable=False),
    column_types.time("entered_at"),
    column_types.time("left_at", nullable=True),
    Column("window_position", BigInteger, nullable=False),  # the last window before the step
    Column("verdict", StorableText(16), nullable=False),  # open, passed, failed, cancelled
    Column("evidence", JSON, nullable=False),
)
