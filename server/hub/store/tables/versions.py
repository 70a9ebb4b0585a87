"""Packages, their names, tags and runs, and decisions about them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
)

from gnomon.server.hub.store.tables import column_types
from gnomon.server.hub.store.text import StorableText

#: Content that is verified and durable in the object store.
blob = Table(
    "blob",
    column_types.metadata,
    column_types.digest(primary_key=True),
    Column("size", BigInteger, nullable=False),
    column_types.time("stored_at"),
)

#: One package: `name@version` in one format. Never changed, never deleted.
version = Table(
    "version",
    column_types.metadata,
    column_types.digest(primary_key=True),
    column_types.name("name"),
    column_types.name("version"),
    column_types.name("format"),
    column_types.time("published_at"),
    column_types.name("publisher"),
    # From the manifest, to be searched for; the dataset by its fingerprint.
    Column("owner", StorableText(255), nullable=False, server_default=""),
    Column("risk_tier", StorableText(64), nullable=False, server_default=""),
    Column("dataset", StorableText(255), nullable=False, server_default=""),
    Column("words", StorableText(512), nullable=False, server_default=""),  # search.words_of
    # Long columns are last: SQLite reads a row from its start.
    Column("manifest", JSON, nullable=False),
    Column("envelopes", JSON, nullable=False),  # DSSE envelopes, as text
    Column("profile", LargeBinary, nullable=False),  # profile.json, for the monitor
    UniqueConstraint("name", "version", "format"),
    Index("ix_version_newest", "name", "published_at", "digest", "version"),
    Index(None, "dataset"),
    # All columns that a search uses, so that it does not read the long rows.
    Index(
        "ix_version_search",
        "published_at",
        "digest",
        "name",
        "version",
        "format",
        "publisher",
        "owner",
        "risk_tier",
        "dataset",
        "words",
    ),
)

#: One run of a build, whether it succeeded or not, as its builder recorded it.
run = Table(
    "run",
    column_types.metadata,
    column_types.identifier(),
    column_types.name("pipeline"),
    Column("trigger", StorableText(255), nullable=False),
    Column("state", StorableText(16), nullable=False),  # succeeded, failed, refused, interrupted
    column_types.time("started_at"),
    column_types.time("ended_at"),
    Column("code_version", StorableText(255), nullable=False),
    Column("code_clean", Boolean, nullable=False),
    Column("error", StorableText, nullable=False),
    column_types.name("reporter"),
    column_types.time("received_at"),
    # Of the record: distinguishes a run that is sent again from another of the same id.
    column_types.digest("hash"),
    Column("record", JSON, nullable=False),
    Index(None, "pipeline", "id"),
)

#: The packages that runs made; a digest may come out of several.
run_package = Table(
    "run_package",
    column_types.metadata,
    column_types.digest(primary_key=True),
    Column("run", StorableText(26), primary_key=True),
)

#: An alias of a version of a model; it moves from version to version.
alias = Table(
    "alias",
    column_types.metadata,
    column_types.name("model", primary_key=True),
    column_types.name("alias", primary_key=True),
    column_types.name("version"),
    column_types.time("set_at"),
    column_types.name("actor"),
    Index(None, "model", "version"),
)

#: Tags of a version.
tag = Table(
    "tag",
    column_types.metadata,
    column_types.name("model", primary_key=True),
    column_types.name("version", primary_key=True),
    column_types.name("key", primary_key=True),
    Column("value", StorableText(255), nullable=False),
    Index(None, "key", "value"),
)

#: Who approved a package for an environment.
approval = Table(
    "approval",
    column_types.metadata,
    column_types.identifier(),
    column_types.digest(),
    column_types.name("environment"),
    column_types.name("model"),
    column_types.name("version"),
    column_types.name("approver"),
    column_types.time("approved_at"),
    Column("reason", StorableText, nullable=False, server_default=""),
    column_types.time("withdrawn_at", nullable=True),
    Index(None, "model", "version", "environment"),
)

#: Versions that may not be rolled out any more; they stay readable.
decommission = Table(
    "decommission",
    column_types.metadata,
    column_types.name("model", primary_key=True),
    column_types.name("version", primary_key=True),
    column_types.time("decommissioned_at"),
    column_types.name("actor"),
    Column("reason", StorableText, nullable=False),
    Column("forced", Boolean, nullable=False),
)
