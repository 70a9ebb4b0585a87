"""Runs of builds, as builders record them: the origin of versions, and builds that failed.

A run is identified by its ULID and recorded after it has ended. A record that is sent again changes
nothing, and one that contradicts the stored one is refused.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, insert, select

from gnomon.runtime.errors import Conflict, NotFound
from gnomon.runtime.ids import ID_PATTERN
from gnomon.runtime.packages.chunks import sha256
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.dialect import insert_into

_RUN = schema.run.c
_PACKAGE = schema.run_package.c
_LISTED = (
    _RUN.id,
    _RUN.pipeline,
    _RUN.trigger,
    _RUN.state,
    _RUN.started_at,
    _RUN.ended_at,
    _RUN.code_version,
    _RUN.code_clean,
    _RUN.error,
    _RUN.reporter,
)

_Text = Annotated[str, Field(max_length=255)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Instant = Annotated[int, Field(ge=0, lt=1 << 53)]


class RunPackage(BaseModel):
    """A package that a run made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: _Text
    version: _Text
    format: _Text
    digest: _Digest


class RunRecord(BaseModel):
    """A builder's record of a run that has ended; times are Unix milliseconds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(pattern=ID_PATTERN)]
    pipeline: Annotated[str, Field(min_length=1, max_length=64)]
    trigger: _Text
    state: Literal["succeeded", "failed", "refused", "interrupted"]
    started_at: _Instant
    ended_at: _Instant
    parameters: dict[str, Any] = {}
    code_version: _Text = ""
    code_clean: bool = False
    environment: dict[str, str] = {}
    steps: Annotated[list[dict[str, Any]], Field(max_length=1_000)] = []
    metrics: dict[str, float] = {}
    datasets: Annotated[list[dict[str, Any]], Field(max_length=1_000)] = []
    packages: Annotated[list[RunPackage], Field(max_length=1_000)] = []
    error: Annotated[str, Field(max_length=16_000)] = ""
    log: Annotated[str, Field(max_length=64_000)] = ""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run without its details; times are Unix milliseconds."""

    id: str
    pipeline: str
    trigger: str
    state: str
    started_at: int
    ended_at: int
    code_version: str
    code_clean: bool
    error: str
    reporter: str


class RecordedRun(RunRecord):
    """A run as recorded, with who reported it and when."""

    # What was recorded by an older hub is shown as it is.
    model_config = ConfigDict(extra="allow", strict=False)

    reporter: str
    received_at: int


def record(change: Change, run: RunRecord) -> bool:
    """Record a run in the caller's change; return whether it is new.

    Raises:
        Conflict: if a run of this id is there, and is another.
    """
    plain = run.model_dump(mode="json")
    written_hash = sha256(json.dumps(plain, sort_keys=True).encode())
    known = change.execute(select(_RUN.hash).where(_RUN.id == run.id)).scalar_one_or_none()
    if known == written_hash:
        return False
    if known is not None:
        raise Conflict(f"run {run.id} is recorded already, and otherwise; a run never changes")
    columns = {column.name for column in _LISTED} - {"reporter"}
    change.execute(
        insert(schema.run).values(
            **{name: plain[name] for name in columns},
            reporter=change.actor,
            received_at=now_ms(),
            hash=written_hash,
            record=plain,
        )
    )
    for package in run.packages:
        change.execute(
            insert_into(change.connection, schema.run_package)
            .values(digest=package.digest, run=run.id)
            .on_conflict_do_nothing()
        )
    detail = {"run": run.id, "state": run.state, "packages": [one.digest for one in run.packages]}
    change.audit("record_run", run.pipeline, detail, model=run.pipeline)
    return True


def find(
    connection: Connection, pipeline: str | None, state: str | None, before: str | None, limit: int
) -> list[RunSummary]:
    """Return runs without their details, newest first, those before the id `before` if given.

    Args:
        connection: of an open transaction; it only reads.
        pipeline: of one pipeline; None: of all.
        state: in one state; None: in any.
        before: id at which the page before ended.
        limit: most runs of the page.
    """
    wanted = select(*_LISTED).order_by(_RUN.id.desc()).limit(limit)
    for column, value in ((_RUN.pipeline, pipeline), (_RUN.state, state)):
        if value is not None:
            wanted = wanted.where(column == value)
    if before is not None:
        wanted = wanted.where(_RUN.id < before)
    return [RunSummary(**row) for row in connection.execute(wanted).mappings()]


def get(connection: Connection, run: str) -> RecordedRun:
    """Return all that is known of a run.

    Raises:
        NotFound: if no run has this id.
    """
    row = connection.execute(
        select(_RUN.record, _RUN.reporter, _RUN.received_at).where(_RUN.id == run)
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no run {run[:80]!r}", kind="run")
    return RecordedRun(**row.record, reporter=row.reporter, received_at=row.received_at)


def that_made(connection: Connection, digests: Collection[str]) -> list[RunSummary]:
    """Return the runs that packages of these digests came out of, oldest first."""
    wanted = select(_PACKAGE.run).where(_PACKAGE.digest.in_(list(digests)))
    rows = connection.execute(select(*_LISTED).where(_RUN.id.in_(wanted)).order_by(_RUN.id))
    return [RunSummary(**row) for row in rows.mappings()]


def fault_of(connection: Connection, digest: str, stated: Mapping[str, Any], publisher: str) -> str:
    """Return what is wrong with a stated run of a package; empty if it is recorded as it says.

    The publisher cannot record the run too: a stolen key and certificate of a builder are not
    enough to invent one.

    Args:
        connection: of an open transaction; it only reads.
        digest: of the package.
        stated: the statement of a trusted key.
        publisher: who publishes the package.
    """
    run = str(stated.get("run"))
    row = None
    if re.fullmatch(ID_PATTERN, run):
        row = connection.execute(
            select(_RUN.state, _RUN.reporter, _RUN.record).where(_RUN.id == run)
        ).one_or_none()
    if row is None:
        return (
            f"run {run[:26]!r} that is stated to have made it is not recorded here; send it before "
            "the package, by the settings pipeline.url and pipeline.api_key"
        )
    if row.reporter == publisher:
        return f"run {run} was recorded by {publisher!r} itself; another API key should send it"
    record = RecordedRun(**row.record, reporter=row.reporter, received_at=0)
    return _contradiction(record, digest, stated)


def _contradiction(record: RecordedRun, digest: str, stated: Mapping[str, Any]) -> str:
    """Return where a recorded run is not what is stated of it; empty: nowhere."""
    if record.state != "succeeded":
        return f"run {record.id} is recorded as {record.state}"
    if digest not in {one.digest for one in record.packages}:
        return f"run {record.id} is recorded to have made other packages"
    recorded = {
        "pipeline": record.pipeline,
        "code_version": record.code_version,
        "code_clean": record.code_clean,
        "datasets": [one.get("fingerprint") for one in record.datasets],
    }
    other = [name for name, value in recorded.items() if stated.get(name) != value]
    return f"run {record.id} is recorded with other {', '.join(other)} than stated" if other else ""


@dataclass(frozen=True, slots=True)
class RunReceipt:
    """A run that was sent; `created` is false if it was recorded already."""

    id: str
    created: bool


def record_run(change: Change, run: RunRecord) -> RunReceipt:
    """Record a run of a build that has ended; return whether it is new."""
    return RunReceipt(run.id, record(change, run))
