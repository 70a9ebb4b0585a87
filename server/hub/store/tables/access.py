"""Credentials: keys, tokens, principals and their grants."""

from sqlalchemy import JSON, Column, Table

from gnomon.server.hub.store.tables import column_types
from gnomon.server.hub.store.text import StorableText

#: Ed25519 keys whose signatures are trusted.
trusted_key = Table(
    "trusted_key",
    column_types.metadata,
    column_types.digest("key", primary_key=True),  # the public key, 32 bytes in hex
    column_types.name("name"),
    # A builder signs packages, an approver signs approvals.
    Column("role", StorableText(64), nullable=False, server_default="builder"),
    column_types.models(),
    column_types.time("added_at"),
    column_types.time("revoked_at", nullable=True),
)

#: People's API keys; only the SHA-256 of a key is kept.
principal = Table(
    "principal",
    column_types.metadata,
    column_types.identifier(),
    Column("name", StorableText(64), nullable=False, unique=True),
    Column("key_hash", StorableText(64), nullable=False, unique=True),
    column_types.time("created_at"),
    column_types.time("revoked_at", nullable=True),
)

#: Sessions of the web page, and links that begin one; only the SHA-256 of a secret is kept.
session = Table(
    "web_session",
    column_types.metadata,
    column_types.digest("secret_hash", primary_key=True),
    column_types.name("kind"),  # session or link
    column_types.name("principal"),
    column_types.time("created_at"),
    column_types.time("expires_at"),
    # Of an issuer's user: lists of role, models and environments.
    Column("grants", JSON(none_as_null=True), nullable=True),
)

#: What principals may do: roles, for models and environments that match the patterns.
role_grant = Table(
    "role_grant",
    column_types.metadata,
    column_types.name("principal", primary_key=True),
    column_types.name("role", primary_key=True),
    column_types.name("models", primary_key=True),
    column_types.name("environments", primary_key=True),
    column_types.time("granted_at"),
    column_types.name("actor"),
)

#: One-time tokens for enrolment; only the SHA-256 of a token is kept.
token = Table(
    "token",
    column_types.metadata,
    column_types.identifier(),
    Column("token_hash", StorableText(64), nullable=False, unique=True),
    column_types.name("role"),
    column_types.name("name_pattern"),
    column_types.environment(),  # of the node that enrols with it
    column_types.models(),
    column_types.time("created_at"),
    column_types.time("expires_at"),
    column_types.time("used_at", nullable=True),
    Column("used_by", StorableText(64), nullable=True),
    Column(
        "used_key", StorableText(64), nullable=True
    ),  # SHA-256 of the public key, to recognise a retry
)
