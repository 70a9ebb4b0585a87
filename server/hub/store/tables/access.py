"""Credentials: keys, tokens, principals and their grants."""

from sqlalchemy import Column, Table

from gnomon.server.hub.store.tables import columns
from gnomon.server.hub.store.text import StorableText

#: Ed25519 keys whose signatures are trusted.
trusted_key = Table(
    "trusted_key",
    columns.metadata,
    columns.digest("key", primary_key=True),  # the public key, 32 bytes in hex
    columns.name("name"),
    # A builder signs packages, an approver signs approvals.
    Column("role", StorableText(64), nullable=False, server_default="builder"),
    columns.time("added_at"),
    columns.time("revoked_at", nullable=True),
)

#: People's API keys; only the SHA-256 of a key is kept.
principal = Table(
    "principal",
    columns.metadata,
    columns.identifier(),
    Column("name", StorableText(64), nullable=False, unique=True),
    Column("key_hash", StorableText(64), nullable=False, unique=True),
    columns.time("created_at"),
    columns.time("revoked_at", nullable=True),
)

#: Sessions of the web page, and links that begin one; only the SHA-256 of a secret is kept.
session = Table(
    "web_session",
    columns.metadata,
    columns.digest("secret_hash", primary_key=True),
    columns.name("kind"),  # session or link
    columns.name("principal"),
    columns.time("created_at"),
    columns.time("expires_at"),
)

#: What principals may do: roles, for models and environments that match the patterns.
role_grant = Table(
    "role_grant",
    columns.metadata,
    columns.name("principal", primary_key=True),
    columns.name("role", primary_key=True),
    columns.name("models", primary_key=True),
    columns.name("environments", primary_key=True),
    columns.time("granted_at"),
    columns.name("actor"),
)

#: One-time tokens for enrolment; only the SHA-256 of a token is kept.
token = Table(
    "token",
    columns.metadata,
    columns.identifier(),
    Column("token_hash", StorableText(64), nullable=False, unique=True),
    columns.name("role"),
    columns.name("name_pattern"),
    columns.environment(),  # of the node that enrols with it
    columns.models(),
    columns.time("created_at"),
    columns.time("expires_at"),
    columns.time("used_at", nullable=True),
    Column("used_by", StorableText(64), nullable=True),
    Column(
        "used_key", StorableText(64), nullable=True
    ),  # SHA-256 of the public key, to recognise a retry
)
