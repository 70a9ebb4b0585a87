"""Predictions with their labels, and what the monitor finds."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    text,
)

from gnomon.runtime.limits import STORED_ID_CHARACTERS
from gnomon.server.hub.store.tables import column_types
from gnomon.server.hub.store.text import StorableText

#: Sampled predictions, for labels that come later.
prediction = Table(
    "prediction",
    column_types.metadata,
    column_types.position(),
    Column("request_id", StorableText(STORED_ID_CHARACTERS), nullable=False),
    column_types.name("node"),
    column_types.digest(),
    column_types.name("model"),
    column_types.time("at"),
    column_types.time("received_at"),
    Column("value", Double, nullable=False),
    # The rollout and step that were under way when it arrived; empty and 0 for none.
    Column("rollout", StorableText(26), nullable=False, server_default=""),
    Column("step", Integer, nullable=False, server_default="0"),
    Column("joined", Boolean, nullable=False, server_default=text("false")),  # counted in loss
    Index(None, "request_id"),
)

#: True values by request.
label = Table(
    "label",
    column_types.metadata,
    column_types.position(),
    column_types.name("model"),
    Column("request_id", StorableText(STORED_ID_CHARACTERS), nullable=False),
    column_types.time("at"),
    Column("value", Double, nullable=False),
    column_types.time("received_at"),
    # Whose value it is, and how far that source is believed (label_sources.Precedence); labels of
    # before are only replaced by people.
    Column("source", StorableText(128), nullable=False, server_default=""),
    Column("precedence", Integer, nullable=False, server_default="2"),
    # Whether no prediction of the request is known.
    Column("waiting", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("model", "request_id"),
)

#: How many labels of a model wait for a prediction.
label_total = Table(
    "label_total",
    column_types.metadata,
    column_types.name("model", primary_key=True),
    Column("waiting", BigInteger, nullable=False),
)

#: Error of predictions against labels: a package, node, day of the data's own time, rollout step.
loss = Table(
    "loss",
    column_types.metadata,
    column_types.digest(primary_key=True),
    column_types.name("node", primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),  # the day's start
    Column("rollout", StorableText(26), primary_key=True, server_default=""),
    Column("step", Integer, primary_key=True, autoincrement=False, server_default="0"),
    column_types.name("model"),
    column_types.name("version"),
    Column("count", BigInteger, nullable=False),
    Column("error", Double, nullable=False),  # sum of (prediction - label)
    Column("absolute_error", Double, nullable=False),  # sum
    Column("squared_error", Double, nullable=False),  # sum
    column_types.time("updated_at"),
    Index(None, "model", "day"),
    Index(None, "rollout", "step"),
)

#: A detector's state between two windows, and how far in its input it has come.
detector_state = Table(
    "detector_state",
    column_types.metadata,
    column_types.name("model", primary_key=True),
    Column("key", StorableText(255), primary_key=True),
    Column("state", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    column_types.time("updated_at"),
)

#: How far a field was from its reference in an interval that was evaluated.
drift = Table(
    "drift",
    column_types.metadata,
    column_types.name("model", primary_key=True),
    Column("ended_at", BigInteger, primary_key=True, autoincrement=False),
    Column("started_at", BigInteger, primary_key=True, autoincrement=False),
    Column("source", StorableText(64), primary_key=True),  # a node's name, or empty: all together
    Column("field", StorableText(128), primary_key=True),
    column_types.name("version"),  # whose reference it was
    Column("rows", BigInteger, nullable=False),
    Column("psi", Double, nullable=False),
    Column("chance", Double, nullable=False),  # the index that so few rows have by chance alone
)

#: A deduplicated notice: one row while it lasts, however often it is raised.
alert = Table(
    "alert",
    column_types.metadata,
    column_types.identifier(),
    Column("key", StorableText(255), nullable=False),
    column_types.name("model"),
    column_types.name("version"),
    column_types.name("kind"),
    Column("source", StorableText(64), nullable=False),  # a node's name, or empty: all of them
    Column("field", StorableText(128), nullable=False),
    column_types.time("opened_at"),
    column_types.time("last_at"),
    column_types.time("closed_at", nullable=True),
    Column("count", BigInteger, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("text", StorableText, nullable=False),
    Column("acknowledged_by", StorableText(64), nullable=True),
    column_types.time("acknowledged_at", nullable=True),
    # monitoring.alert_kinds.Severity
    Column("severity", StorableText(16), nullable=False, server_default="warning"),
    Column("silenced_by", StorableText(26), nullable=False, server_default=""),  # a silence's id
    Index(
        "uq_alert_open_key",
        "key",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    Index(None, "model", "opened_at"),
)

#: The nodes of an alert that stands for many.
alert_node = Table(
    "alert_node",
    column_types.metadata,
    Column("alert", StorableText(26), primary_key=True),
    column_types.name("node", primary_key=True),
)

#: Alerts that are shown and not sent until a time: patterns of model, kind and source.
silence = Table(
    "silence",
    column_types.metadata,
    column_types.identifier(),
    column_types.name("models"),
    column_types.name("kinds"),
    column_types.name("sources"),
    Column("reason", StorableText, nullable=False),
    column_types.name("actor"),
    column_types.time("created_at"),
    column_types.time("ends_at"),
    Index(None, "ends_at"),
)

#: Something that people take care of together, from its beginning to its root cause.
incident = Table(
    "incident",
    column_types.metadata,
    column_types.identifier(),
    Column("title", StorableText(255), nullable=False),
    Column("severity", StorableText(16), nullable=False),  # alert_kinds.Severity
    column_types.name("model"),  # or empty
    Column("alert", StorableText(26), nullable=False),  # which opened it, or empty
    column_types.time("began_at"),
    column_types.time("opened_at"),
    column_types.name("opened_by"),
    column_types.time("resolved_at", nullable=True),
    Column("resolved_by", StorableText(64), nullable=False, server_default=""),
    Column("cause", StorableText(32), nullable=False, server_default=""),  # incidents.Cause
    Column("root_cause", StorableText, nullable=False, server_default=""),
    Column("resolution", StorableText, nullable=False, server_default=""),
    Index(None, "alert"),
)

#: What people write down about an incident, and what is to be done after it.
incident_note = Table(
    "incident_note",
    column_types.metadata,
    column_types.position(),
    Column("incident", StorableText(26), nullable=False),
    column_types.time("at"),
    column_types.name("actor"),
    Column("kind", StorableText(16), nullable=False),  # incidents.NoteKind
    Column("text", StorableText, nullable=False),
    Index(None, "incident"),
)
