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

from gnomon.server.hub.store.tables import columns
from gnomon.server.hub.store.text import StorableText

#: Content that is verified and durable in the object store.
blob = Table(
    "blob",
    columns.metadata,
    columns.digest(primary_key=True),
    Column("size", BigInteger, nullable=False),
    columns.time("stored_at"),
)

#: One package: `name@version` in one format. Never changed, never deleted.
version = Table(
    "version",
    columns.metadata,
    columns.digest(primary_key=True),
    columns.name("name"),
    columns.name("version"),
    columns.name("format"),
    columns.time("published_at"),
    columns.name("publisher"),
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
    columns.metadata,
    columns.identifier(),
    columns.name("pipeline"),
    Column("trigger", StorableText(255), nullable=False),
    Column("state", StorableText(16), nullable=False),  # succeeded, failed, refused, interrupted
    columns.time("started_at"),
    columns.time("ended_at"),
    Column("code_version", StorableText(255), nullable=False),
    Column("code_clean", Boolean, nullable=False),
    Column("error", StorableText, nullable=False),
    columns.name("reporter"),
    columns.time("received_at"),
    # Of the record: distinguishes a run that is sent again from another of the same id.
    columns.digest("hash"),
    Column("record", JSON, nullable=False),
    Index(None, "pipeline", "id"),
)

#: The packages that runs made; a digest may come out of several.
run_package = Table(
    "run_package",
    columns.metadata,
    columns.digest(primary_key=True),
    Column("run", StorableText(26), primary_key=True),
)

#: An alias of a version of a model; it moves from version to version.
alias = Table(
    "alias",
    columns.metadata,
    columns.name("model", primary_key=True),
    columns.name("alias", primary_key=True),
    columns.name("version"),
    columns.time("set_at"),
    columns.name("actor"),
    Index(None, "model", "version"),
)

#: Tags of a version.
tag = Table(
    "tag",
    columns.metadata,
    columns.name("model", primary_key=True),
    columns.name("version", primary_key=True),
    columns.name("key", primary_key=True),
    Column("value", StorableText(255), nullable=False),
    Index(None, "key", "value"),
)

#: Who approved a package for an environment.
approval = Table(
    "approval",
    columns.metadata,
    columns.identifier(),
    columns.digest(),
    columns.name("environment"),
    columns.name("model"),
    columns.name("version"),
    columns.name("approver"),
    columns.time("approved_at"),
    Column("reason", StorableText, nullable=False, server_default=""),
    columns.time("withdrawn_at", nullable=True),
    Index(None, "model", "version", "environment"),
)

#: Versions that may not be rolled out any more; they stay readable.
decommission = Table(
    "decommission",
    columns.metadata,
    columns.name("model", primary_key=True),
    columns.name("version", primary_key=True),
    columns.time("decommissioned_at"),
    columns.name("actor"),
    Column("reason", StorableText, nullable=False),
    Column("forced", Boolean, nullable=False),
)
