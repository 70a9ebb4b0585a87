"""Nodes, and what they send."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
    text,
)

from gnomon.runtime.limits import STORED_ID_CHARACTERS
from gnomon.server.hub.store.tables import column_types
from gnomon.server.hub.store.text import StorableText

#: Nodes and builders that enrolled, and what a node last reported.
node = Table(
    "node",
    column_types.metadata,
    column_types.name("name", primary_key=True),
    column_types.name("role"),
    column_types.environment(),
    column_types.models(),
    Column("certificate_serial", StorableText(64), nullable=False),
    # The certificate before it, which counts until the first call with this one; NULL: any of the
    # key does (access.replaced_certificates).
    Column("former_serial", StorableText(64), nullable=True),
    # Other certificates that were issued until then were replaced.
    Column("superseded_at", BigInteger, nullable=False, server_default="0"),
    # SHA-256 of the enrolled public key, to recognise a retry; empty once it is revoked.
    Column("key_hash", StorableText(64), nullable=False, server_default=""),
    column_types.time("enrolled_at"),
    column_types.time("revoked_at", nullable=True),
    Column("facts", JSON, nullable=False),
    column_types.time("last_seen_at", nullable=True),
    Column("boot", StorableText(64), nullable=False, server_default=""),
    # The desired state: generation and SHA-256 of the newest one that differs from the one before.
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Column("desired_hash", StorableText(64), nullable=False, server_default=""),
    # Digests of the packages that were assigned to it, the newest last (access.assigned).
    Column("assigned", JSON, nullable=False, server_default=text("'[]'")),
    # What the node reported.
    Column("reported_generation", BigInteger, nullable=False, server_default="0"),
    Column("state", StorableText(32), nullable=False, server_default=""),
    Column("digests", JSON, nullable=False),
    Column("refused_generation", BigInteger, nullable=False, server_default="0"),
    Column("reason", StorableText, nullable=False, server_default=""),
    # Packages and routes that it cannot put into service: route, digest, reason.
    Column("refused", JSON, nullable=False, server_default=text("'[]'")),
    Column("spool", JSON, nullable=False),  # records, bytes, merged, dropped
)

#: How far a node's telemetry is durable here; moves in the transaction that stores the records.
receipt = Table(
    "receipt",
    column_types.metadata,
    column_types.name("node", primary_key=True),
    column_types.name("boot", primary_key=True),
    Column("watermark", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    column_types.time("received_at"),
)

#: Statistics of one package on one node over one interval of the data's own time.
window = Table(
    "window",
    column_types.metadata,
    column_types.position(),
    column_types.name("node"),
    column_types.name("boot"),
    Column("sequence", BigInteger, nullable=False),
    column_types.digest(),
    column_types.name("model"),
    column_types.name("version"),
    column_types.name("route"),
    column_types.environment(),  # of the node when it sent this
    Column("shadow", Boolean, nullable=False),
    column_types.time("started_at"),
    column_types.time("ended_at"),
    Column("rows", BigInteger, nullable=False),
    Column("outcomes", JSON, nullable=False),  # rows by outcome
    Column("latency", JSON, nullable=False),  # answers by bucket of gnomon.core.cells.latency
    Column("data", LargeBinary, nullable=False),  # gnomon.core.Window.to_bytes
    column_types.time("received_at"),
    UniqueConstraint("node", "boot", "sequence"),
    Index(None, "model", "position"),
    Index(None, "model", "ended_at"),
    Index(None, "digest", "started_at"),
)

#: Written as in the index that the table has, or that is not used.
IS_UNREAD = text("tally.version = ''")

#: Rows of all windows, summed up as they arrive.
tally = Table(
    "tally",
    column_types.metadata,
    column_types.name("model", primary_key=True),
    column_types.name("version", primary_key=True),
    column_types.name("node", primary_key=True),
    Column("shadow", Boolean, primary_key=True),
    Column("outcome", StorableText(32), primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Index(
        "ix_tally_unread",
        "model",
        sqlite_where=text("version = ''"),
        postgresql_where=text("version = ''"),
    ),
)

#: Rows by day of the data's own time (UTC, of a window's start), summed up as they arrive.
daily = Table(
    "daily",
    column_types.metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),  # the day's start
    column_types.name("model", primary_key=True),
    column_types.name("version", primary_key=True),
    column_types.name("node", primary_key=True),
    Column("shadow", Boolean, primary_key=True),
    column_types.environment(primary_key=True),
    Column("rows", BigInteger, nullable=False),
)

#: Sampled examples of refused or corrected requests; all are counted in the windows.
refusal = Table(
    "refusal",
    column_types.metadata,
    column_types.position(),
    column_types.name("node"),
    column_types.digest(),
    column_types.name("model"),
    Column("request_id", StorableText(STORED_ID_CHARACTERS), nullable=False),
    column_types.time("at"),
    column_types.time("received_at"),
    Column("field", StorableText(128), nullable=False),
    Column("rule", StorableText(128), nullable=False),
    Column("value", StorableText, nullable=False),
    Column("expected", StorableText, nullable=False),
    Index(None, "model", "at"),
)

#: Events that nodes report; and `refused_record` for telemetry that could not be read or stored.
event = Table(
    "event",
    column_types.metadata,
    column_types.position(),
    column_types.name("node"),
    column_types.name("boot"),
    Column("sequence", BigInteger, nullable=False),
    column_types.time("at"),
    Column("kind", StorableText(64), nullable=False),
    Column("detail", StorableText, nullable=False),
    column_types.time("received_at"),
    Index(None, "node", "position"),
)
