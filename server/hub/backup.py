"""Backup and restore of a hub in one folder, while it runs.

A backup holds a consistent copy of the database, all the content that it names, and the
authority's key, without which every node would have to enrol again: keep it as safe as the hub.
Content that a package names is never changed or deleted, so what is copied after the database is
complete for it.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import delete, select, update

from gnomon.runtime.errors import ConfigurationError, StorageError
from gnomon.runtime.files import sync_folder, write_synced
from gnomon.server.hub import doctor
from gnomon.server.hub.epoch_file import write_epoch
from gnomon.server.hub.store import audit, counters, named_blobs, schema
from gnomon.server.hub.store.blobs import Blobs
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import FILE_NAME, Database
from gnomon.server.hub.store.dialect import BATCH
from gnomon.server.hub.store.failures import from_sqlite

#: Where a hub's data folder has the keys of signed metadata that replaced the first ones.
TRUST = "trust"
_AUTHORITY = ("authority.key", "authority.pem")


def backup(folder: Path, out: Path, blob_url: str = "") -> list[doctor.Finding]:
    """Copy a hub's data folder to `out`, and return what the doctor says of the copy.

    Content that is stored elsewhere, at `blob_url`, is copied into the folder too.

    Raises:
        ConfigurationError: if there is no hub with a SQLite database, it is of another Gnomon, or
            `out` exists.
        StorageError: if content is missing or damaged; then there is no backup.
    """
    if not (folder / FILE_NAME).is_file():
        raise ConfigurationError(
            f"{folder} has no {FILE_NAME}; a hub on PostgreSQL is backed up by pg_dump and by "
            f"copying {folder} after it"
        )
    with _new_folder(out) as partial:
        _copy_database(folder / FILE_NAME, partial / FILE_NAME)
        # The earlier Gnomon could not restore what this one has migrated.
        Database.in_folder(partial, may_upgrade=False).close()
        return _complete(folder, partial, blob_url, "")


def restore(saved: Path, folder: Path, blob_url: str = "") -> list[doctor.Finding]:
    """Make a hub's data folder from a backup, and return what the doctor says of it.

    Nodes may know more than the backup does, so the restored hub begins a new epoch. Content is
    put to `blob_url`, if there is one.

    Raises:
        ConfigurationError: if `saved` is no backup, or `folder` exists.
        StorageError: if the backup is damaged; then nothing is restored.
    """
    if not (saved / FILE_NAME).is_file():
        raise ConfigurationError(f"{saved} is no backup of a hub: it has no {FILE_NAME}")
    with _new_folder(folder) as partial:
        _copy_database(saved / FILE_NAME, partial / FILE_NAME)
        findings = _complete(saved, partial, "", blob_url)
        _begin_epoch(partial)
        return findings


def _begin_epoch(folder: Path) -> None:
    """Begin an epoch that is newer than any that another restore of this backup began."""
    database = Database.in_folder(folder)
    try:
        with database.write() as connection:
            epoch = max(counters.read(connection, counters.EPOCH) + 1, now_ms() // 1_000)
            counters.move(connection, counters.EPOCH, epoch)
            audit.append(connection, "hub", "restore", "backup", {"epoch": epoch})
            # Certificates may have been renewed since.
            connection.execute(update(schema.node).values(former_serial=None))
        write_epoch(folder, epoch)
    finally:
        database.close()


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder, renamed to its final name on success."""
    if path.exists():
        raise ConfigurationError(f"{path} exists; name a folder that does not")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    try:
        yield partial
        sync_folder(partial)
        partial.rename(path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _forget_unnamed(database: Database) -> list[str]:
    """Delete the rows of content that no package names: the hub may delete it meanwhile.

    Return the digests of all other content.
    """
    digest = schema.blob.c.digest
    with database.write() as connection:
        named = named_blobs.read(connection)
        known = connection.scalars(select(digest)).all()
        unnamed = [one for one in known if one not in named]
        for start in range(0, len(unnamed), BATCH):
            part = unnamed[start : start + BATCH]
            connection.execute(delete(schema.blob).where(digest.in_(part)))
    return [one for one in known if one in named]


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database that others may be writing."""
    try:
        with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
            original.backup(copy)
    except sqlite3.Error as error:
        raise from_sqlite(error) or StorageError(f"{source} cannot be copied: {error}") from error


def _complete(source: Path, target: Path, from_url: str, to_url: str) -> list[doctor.Finding]:
    """Copy what the database in `target` names, and have it all examined."""
    for name in _AUTHORITY:
        write_synced(target / name, (source / name).read_bytes(), mode=0o600)
    for key in sorted((source / TRUST).glob("*.pem")):  # those that replaced the first ones
        (target / TRUST).mkdir(mode=0o700, exist_ok=True)
        write_synced(target / TRUST / key.name, key.read_bytes(), mode=0o600)
    database = Database.in_folder(target)
    try:
        original = Blobs.at(database, from_url, source / doctor.BLOBS)
        copied = Blobs.at(database, to_url, target / doctor.BLOBS)
        digests = _forget_unnamed(database)
        copied.put((digest, original.get(digest)) for digest in digests)
        findings = doctor.examine(database, copied)
    finally:
        database.close()
    faults = [fault for finding in findings for fault in finding.faults]
    if faults:
        raise StorageError(
            f"{source} is damaged: {faults[0]}", details=[{"fault": fault} for fault in faults]
        )
    return findings
