"""Signed metadata of The Update Framework."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table

from gnomon.server.hub.store.tables import column_types
from gnomon.server.hub.store.text import StorableText

#: Every root, and the newest metadata of each other role.
trust_metadata = Table(
    "trust_metadata",
    column_types.metadata,
    Column("role", StorableText(64), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),  # JSON, as it was signed
    column_types.time("created_at"),
)
