"""Counters, the audit chain, and webhooks with their deliveries."""

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Table, UniqueConstraint, text

from gnomon.server.hub.store.tables import column_types
from gnomon.server.hub.store.text import StorableText

#: Numbers that only rise: `generation` (of desired states) and `audit` (the chain's length).
counter = Table(
    "counter",
    column_types.metadata,
    column_types.name("name", primary_key=True),
    Column("value", BigInteger, nullable=False),
)

#: Who did what. Each row's hash covers the row and the hash before it.
audit = Table(
    "audit",
    column_types.metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    column_types.time("at"),
    Column("actor", StorableText(128), nullable=False),
    Column("action", StorableText(64), nullable=False),
    Column("subject", StorableText(255), nullable=False),
    Column("detail", StorableText, nullable=False),  # JSON, as it was hashed
    column_types.digest("previous"),
    column_types.digest("hash"),
    Index(None, "action", "sequence"),
)

#: Where events go, as an operator set it.
webhook = Table(
    "webhook",
    column_types.metadata,
    column_types.identifier(),
    column_types.name("name"),
    Column("url", StorableText, nullable=False),
    Column("events", JSON, nullable=False),
    column_types.name("models"),  # a pattern
    # Empty: it is derived. Webhooks that were set by an earlier Gnomon have theirs here, sealed.
    Column("secret", StorableText(64), nullable=False),
    Column("since", BigInteger, nullable=False),  # the audit chain's length when it was set
    column_types.time("created_at"),
    column_types.name("actor"),
    column_types.time("removed_at", nullable=True),
    # webhooks.formats.WebhookFormat
    Column("format", StorableText(16), nullable=False, server_default="gnomon"),
    Index(
        "uq_webhook_name",
        "name",
        unique=True,
        sqlite_where=text("removed_at IS NULL"),
        postgresql_where=text("removed_at IS NULL"),
    ),
)

#: One event for one webhook, until it is delivered or given up.
delivery = Table(
    "delivery",
    column_types.metadata,
    column_types.identifier(),
    Column("webhook", StorableText(26), nullable=False),
    Column("sequence", BigInteger, nullable=False),  # of the audit record
    column_types.name("event"),
    Column("body", StorableText, nullable=False),  # JSON, as it is signed
    Column("state", StorableText(16), nullable=False),  # webhooks.queue.DeliveryState
    Column("attempts", Integer, nullable=False),
    column_types.time("created_at"),
    column_types.time("next_at"),
    column_types.time("ended_at", nullable=True),
    Column("error", StorableText, nullable=False),
    UniqueConstraint("webhook", "sequence"),
    Index(None, "state", "next_at"),
)
