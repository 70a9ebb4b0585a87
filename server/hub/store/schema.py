"""The hub's tables.

Times are Unix milliseconds. Ids are ULIDs (`clock.new_id`) where a person or a URL names the row;
`position` is a counter that only rises, for those who read a table as a stream. What is long and
has no columns of its own is JSON.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)

from gnomon.server.hub.store.text import StorableText

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: The environment of all that names none: what a hub knew before there were others.
PRODUCTION = "production"

# SQLite counts by itself only in a column that is called INTEGER.
_Count = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> Column[str]:
    return Column("id", StorableText(26), primary_key=True)


def _position() -> Column[int]:
    return Column("position", _Count, primary_key=True, autoincrement=True)


def _digest(name: str = "digest", *, primary_key: bool = False) -> Column[str]:
    return Column(name, StorableText(64), nullable=False, primary_key=primary_key)


def _name(name: str, *, primary_key: bool = False) -> Column[str]:
    return Column(name, StorableText(64), nullable=False, primary_key=primary_key)


def _environment(*, primary_key: bool = False) -> Column[str]:
    return Column(
        "environment",
        StorableText(64),
        nullable=False,
        primary_key=primary_key,
        server_default=PRODUCTION,
    )


def _models() -> Column[str]:
    """Return the column of the pattern of the models that a builder may publish."""
    return Column("models", StorableText(64), nullable=False, server_default="*")


def _time(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


#: Numbers that only rise: `generation` (of desired states) and `audit` (the chain's length).
counter = Table(
    "counter",
    metadata,
    _name("name", primary_key=True),
    Column("value", BigInteger, nullable=False),
)

#: Places in which versions are rolled out; each node belongs to one.
environment = Table(
    "environment",
    metadata,
    _name("name", primary_key=True),
    Column("position", Integer, nullable=False),  # the order in which they are shown
    # The risk tiers that need no approval here; null: none does.
    Column("exempt_tiers", JSON(none_as_null=True), nullable=True),
    _time("created_at"),
)

#: Content that is verified and durable in the object store.
blob = Table(
    "blob",
    metadata,
    _digest(primary_key=True),
    Column("size", BigInteger, nullable=False),
    _time("stored_at"),
)

#: One package: `name@version` in one format. Never changed, never deleted.
version = Table(
    "version",
    metadata,
    _digest(primary_key=True),
    _name("name"),
    _name("version"),
    _name("format"),
    _time("published_at"),
    _name("publisher"),
    # From the manifest, to be searched for; the dataset by its fingerprint.
    Column("owner", StorableText(255), nullable=False, server_default=""),
    Column("risk_tier", StorableText(64), nullable=False, server_default=""),
    Column("dataset", StorableText(255), nullable=False, server_default=""),
    Column("words", StorableText(512), nullable=False, server_default=""),  # search.words_of
    # What is long stands last: SQLite reads a row from its start.
    Column("manifest", JSON, nullable=False),
    Column("envelopes", JSON, nullable=False),  # DSSE envelopes, as text
    Column("profile", LargeBinary, nullable=False),  # profile.json, for the monitor
    UniqueConstraint("name", "version", "format"),
    Index("ix_version_newest", "name", "published_at", "digest", "version"),
    Index(None, "dataset"),
    # All that a search looks at, so that it need not touch the long rows.
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
    metadata,
    _id(),
    _name("pipeline"),
    Column("trigger", StorableText(255), nullable=False),
    Column("state", StorableText(16), nullable=False),  # succeeded, failed, refused, interrupted
    _time("started_at"),
    _time("ended_at"),
    Column("code_version", StorableText(255), nullable=False),
    Column("code_clean", Boolean, nullable=False),
    Column("error", StorableText, nullable=False),
    _name("reporter"),
    _time("received_at"),
    _digest("hash"),  # of the record: tells a run that is sent again from another of the same id
    Column("record", JSON, nullable=False),
    Index(None, "pipeline", "id"),
)

#: The packages that runs made; a digest may come out of several.
run_package = Table(
    "run_package",
    metadata,
    _digest(primary_key=True),
    Column("run", StorableText(26), primary_key=True),
)

#: A name of a person's own for a version of a model; moves from version to version.
alias = Table(
    "alias",
    metadata,
    _name("model", primary_key=True),
    _name("alias", primary_key=True),
    _name("version"),
    _time("set_at"),
    _name("actor"),
    Index(None, "model", "version"),
)

#: What people say of a version.
tag = Table(
    "tag",
    metadata,
    _name("model", primary_key=True),
    _name("version", primary_key=True),
    _name("key", primary_key=True),
    Column("value", StorableText(255), nullable=False),
    Index(None, "key", "value"),
)

#: Who approved a package for an environment.
approval = Table(
    "approval",
    metadata,
    _id(),
    _digest(),
    _name("environment"),
    _name("model"),
    _name("version"),
    _name("approver"),
    _time("approved_at"),
    Column("reason", StorableText, nullable=False, server_default=""),
    _time("withdrawn_at", nullable=True),
    Index(None, "model", "version", "environment"),
)

#: Versions that may not be rolled out any more; they stay readable.
decommission = Table(
    "decommission",
    metadata,
    _name("model", primary_key=True),
    _name("version", primary_key=True),
    _time("decommissioned_at"),
    _name("actor"),
    Column("reason", StorableText, nullable=False),
    Column("forced", Boolean, nullable=False),
)

#: Ed25519 keys of builders whose signatures count.
trusted_key = Table(
    "trusted_key",
    metadata,
    _digest("key", primary_key=True),  # the public key, 32 bytes in hex
    _name("name"),
    # A builder's signature vouches for packages, an approver's for approvals.
    Column("role", StorableText(64), nullable=False, server_default="builder"),
    _time("added_at"),
    _time("revoked_at", nullable=True),
)

#: People's API keys; only the SHA-256 of a key is kept.
principal = Table(
    "principal",
    metadata,
    _id(),
    Column("name", StorableText(64), nullable=False, unique=True),
    Column("key_hash", StorableText(64), nullable=False, unique=True),
    _time("created_at"),
    _time("revoked_at", nullable=True),
)

#: What principals may do: roles, for models and environments that match the patterns.
role_grant = Table(
    "role_grant",
    metadata,
    _name("principal", primary_key=True),
    _name("role", primary_key=True),
    _name("models", primary_key=True),
    _name("environments", primary_key=True),
    _time("granted_at"),
    _name("actor"),
)

#: One-time tokens for enrolment; only the SHA-256 of a token is kept.
token = Table(
    "token",
    metadata,
    _id(),
    Column("token_hash", StorableText(64), nullable=False, unique=True),
    _name("role"),
    _name("name_pattern"),
    _environment(),  # of the node that enrols with it
    _models(),
    _time("created_at"),
    _time("expires_at"),
    _time("used_at", nullable=True),
    Column("used_by", StorableText(64), nullable=True),
    Column("used_key", StorableText(64), nullable=True),  # SHA-256 of the public key: tells a retry
)

#: Whoever enrolled, nodes and builders, and what a node last said of itself.
node = Table(
    "node",
    metadata,
    _name("name", primary_key=True),
    _name("role"),
    _environment(),
    _models(),
    Column("certificate_serial", StorableText(64), nullable=False),
    _time("enrolled_at"),
    _time("revoked_at", nullable=True),
    Column("facts", JSON, nullable=False),
    _time("last_seen_at", nullable=True),
    Column("boot", StorableText(64), nullable=False, server_default=""),
    # What the hub wants: number and SHA-256 of the newest state that differs from the one before.
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Column("desired_hash", StorableText(64), nullable=False, server_default=""),
    # What the node reported.
    Column("reported_generation", BigInteger, nullable=False, server_default="0"),
    Column("state", StorableText(32), nullable=False, server_default=""),
    Column("digests", JSON, nullable=False),
    Column("refused_generation", BigInteger, nullable=False, server_default="0"),
    Column("reason", StorableText, nullable=False, server_default=""),
    Column("spool", JSON, nullable=False),  # records, bytes, merged, dropped
)

#: How far a node's telemetry is durable here; moves in the transaction that stores the records.
receipt = Table(
    "receipt",
    metadata,
    _name("node", primary_key=True),
    _name("boot", primary_key=True),
    Column("watermark", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    _time("received_at"),
)

#: Statistics of one package on one node over one interval of the data's own time.
window = Table(
    "window",
    metadata,
    _position(),
    _name("node"),
    _name("boot"),
    Column("sequence", BigInteger, nullable=False),
    _digest(),
    _name("model"),
    _name("version"),
    _name("route"),
    _environment(),  # of the node when it sent this
    Column("shadow", Boolean, nullable=False),
    _time("started_at"),
    _time("ended_at"),
    Column("rows", BigInteger, nullable=False),
    Column("outcomes", JSON, nullable=False),  # rows by outcome
    Column("latency", JSON, nullable=False),  # answers by bucket of gnomon.core.latency
    Column("data", LargeBinary, nullable=False),  # gnomon.core.Window.to_bytes
    _time("received_at"),
    UniqueConstraint("node", "boot", "sequence"),
    Index(None, "model", "position"),
    Index(None, "model", "ended_at"),
    Index(None, "digest", "started_at"),
)

#: Written as in the indexes that they have, or these are not used.
IS_UNREAD = text("tally.version = ''")
IS_ACTIVE = text("rollout.state IN ('pending', 'running')")

#: Rows of all windows, summed up as they come.
tally = Table(
    "tally",
    metadata,
    _name("model", primary_key=True),
    _name("version", primary_key=True),
    _name("node", primary_key=True),
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

#: Rows by day of the data's own time (UTC, of a window's start), summed up as they come.
daily = Table(
    "daily",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),  # the day's start
    _name("model", primary_key=True),
    _name("version", primary_key=True),
    _name("node", primary_key=True),
    Column("shadow", Boolean, primary_key=True),
    _environment(primary_key=True),
    Column("rows", BigInteger, nullable=False),
)

#: Sampled predictions, for labels that come later.
prediction = Table(
    "prediction",
    metadata,
    _position(),
    Column("request_id", StorableText(128), nullable=False),
    _name("node"),
    _digest(),
    _name("model"),
    _time("at"),
    Column("value", Double, nullable=False),
    # The rollout and step that were under way when it arrived; empty and 0 for none.
    Column("rollout", StorableText(26), nullable=False, server_default=""),
    Column("step", Integer, nullable=False, server_default="0"),
    Column("joined", Boolean, nullable=False, server_default=text("false")),  # counted in loss
    Index(None, "request_id"),
)

#: Sampled examples of refused or corrected requests; all are counted in the windows.
refusal = Table(
    "refusal",
    metadata,
    _position(),
    _name("node"),
    _digest(),
    _name("model"),
    Column("request_id", StorableText(128), nullable=False),
    _time("at"),
    Column("field", StorableText(128), nullable=False),
    Column("rule", StorableText(128), nullable=False),
    Column("value", StorableText, nullable=False),
    Column("expected", StorableText, nullable=False),
    Index(None, "model", "at"),
)

#: What turned out to be true, by request.
label = Table(
    "label",
    metadata,
    _position(),
    _name("model"),
    Column("request_id", StorableText(128), nullable=False),
    _time("at"),
    Column("value", Double, nullable=False),
    _time("received_at"),
    UniqueConstraint("model", "request_id"),
)

#: Error of predictions against labels: a package, node, day of the data's own time, rollout step.
loss = Table(
    "loss",
    metadata,
    _digest(primary_key=True),
    _name("node", primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),  # the day's start
    Column("rollout", StorableText(26), primary_key=True, server_default=""),
    Column("step", Integer, primary_key=True, autoincrement=False, server_default="0"),
    _name("model"),
    _name("version"),
    Column("count", BigInteger, nullable=False),
    Column("error", Double, nullable=False),  # sum of (prediction - label)
    Column("absolute_error", Double, nullable=False),  # sum
    Column("squared_error", Double, nullable=False),  # sum
    _time("updated_at"),
    Index(None, "model", "day"),
    Index(None, "rollout", "step"),
)

#: What happened on a node, in its words; and `refused_record` for telemetry the hub could not read.
event = Table(
    "event",
    metadata,
    _position(),
    _name("node"),
    _name("boot"),
    Column("sequence", BigInteger, nullable=False),
    _time("at"),
    Column("kind", StorableText(64), nullable=False),
    Column("detail", StorableText, nullable=False),
    _time("received_at"),
    Index(None, "node", "position"),
)

#: A detector's state between two windows, and how far in its input it has come.
detector_state = Table(
    "detector_state",
    metadata,
    _name("model", primary_key=True),
    Column("key", StorableText(255), primary_key=True),
    Column("state", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    _time("updated_at"),
)

#: How far a field was from its reference in an interval that the monitor has judged.
drift = Table(
    "drift",
    metadata,
    _name("model", primary_key=True),
    Column("ended_at", BigInteger, primary_key=True, autoincrement=False),
    Column("started_at", BigInteger, primary_key=True, autoincrement=False),
    Column("source", StorableText(64), primary_key=True),  # a node's name, or empty: all together
    Column("field", StorableText(128), primary_key=True),
    _name("version"),  # whose reference it was
    Column("rows", BigInteger, nullable=False),
    Column("psi", Double, nullable=False),
    Column("chance", Double, nullable=False),  # the index that so few rows have by chance alone
)

#: A deduplicated notice: one row while it lasts, however often it is raised.
alert = Table(
    "alert",
    metadata,
    _id(),
    Column("key", StorableText(255), nullable=False),
    _name("model"),
    _name("version"),
    _name("kind"),
    Column("source", StorableText(64), nullable=False),  # a node's name, or empty: all of them
    Column("field", StorableText(128), nullable=False),
    _time("opened_at"),
    _time("last_at"),
    _time("closed_at", nullable=True),
    Column("count", BigInteger, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("text", StorableText, nullable=False),
    Column("acknowledged_by", StorableText(64), nullable=True),
    _time("acknowledged_at", nullable=True),
    Index(
        "uq_alert_open_key",
        "key",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    Index(None, "model", "opened_at"),
)

#: Which version of a model should run in an environment, and when: "what ran on day X".
placement = Table(
    "placement",
    metadata,
    _id(),
    _name("model"),
    _name("version"),
    _environment(),
    _time("started_at"),
    _time("ended_at", nullable=True),
    _name("actor"),
    Index(
        "uq_placement_now",
        "model",
        "environment",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(None, "model", "started_at"),
)

#: The move from the version in service to another. Active: `pending` and `running`.
rollout = Table(
    "rollout",
    metadata,
    _id(),
    _name("model"),
    _name("champion"),  # versions
    _name("candidate"),
    _environment(),
    Column("state", StorableText(16), nullable=False),  # rollouts.State
    Column("weight", Integer, nullable=False),  # of the candidate now, parts in 1,000
    Column("shadow", Integer, nullable=False),  # sampled share the candidate sees, parts in 1,000
    Column("step", Integer, nullable=False),  # index in the plan
    Column("plan", JSON, nullable=False),
    _time("created_at"),
    _time("updated_at"),
    _time("ended_at", nullable=True),
    _name("actor"),
    Column("reason", StorableText, nullable=False, server_default=""),
    Index(
        "uq_rollout_active",
        "model",
        "environment",
        unique=True,
        sqlite_where=text("state IN ('pending', 'running')"),
        postgresql_where=text("state IN ('pending', 'running')"),
    ),
)

#: A rollout's history: each step entered, with what its gate saw when it was left.
rollout_step = Table(
    "rollout_step",
    metadata,
    Column("rollout", StorableText(26), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("weight", Integer, nullable=False),
    Column("shadow", Integer, nullable=False),
    _time("entered_at"),
    _time("left_at", nullable=True),
    Column("window_position", BigInteger, nullable=False),  # the last window before the step
    Column("verdict", StorableText(16), nullable=False),  # open, passed, failed, cancelled
    Column("evidence", JSON, nullable=False),
)

#: Where events go, as an operator set it.
webhook = Table(
    "webhook",
    metadata,
    _id(),
    _name("name"),
    Column("url", StorableText, nullable=False),
    Column("events", JSON, nullable=False),
    _name("models"),  # a pattern
    Column("secret", StorableText(64), nullable=False),  # signs deliveries, so it is kept
    Column("since", BigInteger, nullable=False),  # the audit chain's length when it was set
    _time("created_at"),
    _name("actor"),
    _time("removed_at", nullable=True),
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
    metadata,
    _id(),
    Column("webhook", StorableText(26), nullable=False),
    Column("sequence", BigInteger, nullable=False),  # of the audit record
    _name("event"),
    Column("body", StorableText, nullable=False),  # JSON, as it is signed
    Column("state", StorableText(16), nullable=False),  # webhooks.queue.State
    Column("attempts", Integer, nullable=False),
    _time("created_at"),
    _time("next_at"),
    _time("ended_at", nullable=True),
    Column("error", StorableText, nullable=False),
    UniqueConstraint("webhook", "sequence"),
    Index(None, "state", "next_at"),
)

#: Who did what. Each row's hash covers the row and the hash before it.
audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    Column("actor", StorableText(128), nullable=False),
    Column("action", StorableText(64), nullable=False),
    Column("subject", StorableText(255), nullable=False),
    Column("detail", StorableText, nullable=False),  # JSON, as it was hashed
    _digest("previous"),
    _digest("hash"),
    Index(None, "action", "sequence"),
)
