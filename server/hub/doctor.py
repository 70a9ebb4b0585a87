"""The doctor: looks at a hub's whole state and says what is wrong with it. Changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, select, tuple_

from gnomon.runtime.errors import GnomonError
from gnomon.server.hub.access import fleet_key
from gnomon.server.hub.monitoring import windows
from gnomon.server.hub.store import audit, named_blobs, schema
from gnomon.server.hub.store.blobs import Blobs
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rollout_state import ACTIVE

#: Where a hub's data folder has its content.
BLOBS = "blobs"

_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """What one check found: how many things it looked at, and what is wrong with some of them."""

    check: str
    examined: int
    faults: tuple[str, ...] = ()
    remark: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def examine(database: Database, blobs: Blobs, folder: Path | None = None) -> list[Finding]:
    """Check database, audit chain, content, completeness of versions, and what is in service.

    With the data `folder`, check the authority in it as well.
    Content that no row names is reported but is no fault: an interrupted transfer leaves it.
    """
    checks: tuple[Callable[[Database, Connection, Blobs], Finding], ...] = (
        _database,
        _audit,
        _blobs,
        _versions,
    )
    with database.read() as connection:
        found = [check(database, connection, blobs) for check in checks]
        found.append(check_in_service(connection))
        if folder is not None:
            found.append(Finding("authority", 1, tuple(fleet_key.faults(connection, folder))))
        return found


def _database(database: Database, connection: Connection, _: Blobs) -> Finding:
    if database.engine.dialect.name != "sqlite":
        connection.exec_driver_sql("SELECT 1")
        return Finding("database", 1)
    said = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    return Finding("database", 1, tuple(said) if said != ["ok"] else ())


def _audit(_: Database, connection: Connection, __: Blobs) -> Finding:
    verdict = audit.verify_chain(connection)
    if verdict.intact:
        return Finding("audit chain", verdict.records)
    return Finding(
        "audit chain", verdict.records, (f"record {verdict.broken_at}: {verdict.reason}",)
    )


def _blobs(_: Database, connection: Connection, blobs: Blobs) -> Finding:
    digests = connection.scalars(select(schema.blob.c.digest).order_by(schema.blob.c.digest)).all()
    orphans = blobs.listed().keys() - set(digests)
    remark = f"{len(orphans)} more that nothing names" if orphans else ""
    return Finding("content", len(digests), tuple(_damaged(blobs, digests)), remark)


def _damaged(blobs: Blobs, digests: Any) -> Iterator[str]:
    for digest in digests:
        try:
            blobs.get(digest)
        except GnomonError as error:
            yield str(error)


def _versions(_: Database, connection: Connection, __: Blobs) -> Finding:
    columns = schema.version.c
    known = set(connection.scalars(select(schema.blob.c.digest)))
    rows = connection.execute(
        select(columns.name, columns.version, columns.format, columns.digest, columns.manifest)
    )
    examined, faults = 0, []
    for row in rows:
        examined += 1
        wanted = named_blobs.of_manifest(row.digest, row.manifest)
        missing = [digest for digest in wanted if digest not in known]
        if missing:
            named = ", ".join(missing[:_NAMED])
            faults.append(f"{row.name}@{row.version} ({row.format}) lacks content: {named}")
    return Finding("versions", examined, tuple(faults))


def check_in_service(connection: Connection) -> Finding:
    """Check that nodes of this Gnomon can use what they are to run: an older one took more."""
    examined, faults = 0, []
    for row in connection.execute(_wanted()):
        examined += 1
        try:
            windows.profile_of(connection, row.digest)
        except GnomonError as error:
            faults.append(
                f"{error}; while it is in service, nodes of this Gnomon refuse all changes: place "
                "another version, or take it out of service with `gnomon hub retire`"
            )
    return Finding("in service", examined, tuple(faults))


def _wanted() -> Select[Any]:
    """Return the query of packages in service or being rolled out, in any environment."""
    version, placement, rollout = schema.version.c, schema.placement.c, schema.rollout.c
    placed = select(placement.model, placement.version).where(placement.ended_at.is_(None))
    moving = select(rollout.model, rollout.candidate).where(rollout.state.in_(ACTIVE))
    return (
        select(version.digest, version.name, version.version, version.format)
        .where(tuple_(version.name, version.version).in_(placed.union(moving)))
        .order_by(version.name, version.version, version.format)
    )
