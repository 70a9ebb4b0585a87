"""Counters, the audit chain, and webhooks with their deliveries."""

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Table, UniqueConstraint, text

from gnomon.server.hub.store.tables import columns
from gnomon.server.hub.store.text import StorableText

#: Numbers that only rise: `generation` (of desired states) and `audit` (the chain's length).
counter = Table(
    "counter",
    columns.metadata,
    columns.name("name", primary_key=True),
    Column("value", BigInteger, nullable=False),
)

#: Who did what. Each row's hash covers the row and the hash before it.
audit = Table(
    "audit",
    columns.metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    columns.time("at"),
    Column("actor", StorableText(128), nullable=False),
    Column("action", StorableText(64), nullable=False),
    Column("subject", StorableText(255), nullable=False),
    Column("detail", StorableText, nullable=False),  # JSON, as it was hashed
    columns.digest("previous"),
    columns.digest("hash"),
    Index(None, "action", "sequence"),
)

#: Where events go, as an operator set it.
webhook = Table(
    "webhook",
    columns.metadata,
    columns.identifier(),
    columns.name("name"),
    Column("url", StorableText, nullable=False),
    Column("events", JSON, nullable=False),
    columns.name("models"),  # a pattern
    Column("secret", StorableText(64), nullable=False),  # signs deliveries, so it is kept
    Column("since", BigInteger, nullable=False),  # the audit chain's length when it was set
    columns.time("created_at"),
    columns.name("actor"),
    columns.time("removed_at", nullable=True),
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
    columns.metadata,
    columns.identifier(),
    Column("webhook", StorableText(26), nullable=False),
    Column("sequence", BigInteger, nullable=False),  # of the audit record
    columns.name("event"),
    Column("body", StorableText, nullable=False),  # JSON, as it is signed
    Column("state", StorableText(16), nullable=False),  # webhooks.queue.DeliveryState
    Column("attempts", Integer, nullable=False),
    columns.time("created_at"),
    columns.time("next_at"),
    columns.time("ended_at", nullable=True),
    Column("error", StorableText, nullable=False),
    UniqueConstraint("webhook", "sequence"),
    Index(None, "state", "next_at"),
)
