"""Columns that many tables have, and the metadata that all tables share."""

from sqlalchemy import BigInteger, Column, Integer, MetaData

from gnomon.server.hub.store.text import StorableText

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: The default environment.
PRODUCTION = "production"

# SQLite counts by itself only in a column that is called INTEGER.
_Count = BigInteger().with_variant(Integer(), "sqlite")


def identifier() -> Column[str]:
    """Return the primary key `id`, a ULID."""
    return Column("id", StorableText(26), primary_key=True)


def position() -> Column[int]:
    """Return the primary key `position`, which counts by itself."""
    return Column("position", _Count, primary_key=True, autoincrement=True)


def digest(name: str = "digest", *, primary_key: bool = False) -> Column[str]:
    """Return a column for a SHA-256 in hex."""
    return Column(name, StorableText(64), nullable=False, primary_key=primary_key)


def name(name: str, *, primary_key: bool = False) -> Column[str]:
    """Return a column for a name."""
    return Column(name, StorableText(64), nullable=False, primary_key=primary_key)


def environment(*, primary_key: bool = False) -> Column[str]:
    """Return the column of the environment to which a row belongs."""
    return Column(
        "environment",
        StorableText(64),
        nullable=False,
        primary_key=primary_key,
        server_default=PRODUCTION,
    )


def models() -> Column[str]:
    """Return the column of the pattern of the models that a builder or a key is for."""
    return Column("models", StorableText(64), nullable=False, server_default="*")


def time(name: str, *, nullable: bool = False) -> Column[int]:
    """Return a column for a time, Unix milliseconds."""
    return Column(name, BigInteger, nullable=nullable)
