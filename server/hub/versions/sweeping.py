"""Deletion of content that no package names: of uploads that were never published.

What a builder has uploaded, or looked for before a push, within the time of grace is kept, since a
publication may follow. Content without a row, of an upload that was cut off, counts from
when it was written. `store.blob_sweeps` says how an upload of the same content is not lost.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import delete, select

from gnomon.server.hub.store import blob_sweeps, named_blobs, schema
from gnomon.server.hub.store.blobs import Blobs
from gnomon.server.hub.store.clock import DAY_MS, now_ms
from gnomon.server.hub.store.database import Database

_log = structlog.get_logger(__name__)

#: How often a hub looks.
EVERY_SECONDS = 6 * 3_600.0
#: Blobs that are deleted while other writers wait.
_BATCH = 64

_BLOB = schema.blob.c


@dataclass(frozen=True)
class SweepResult:
    """What a sweep deleted, or would: digests, and how many bytes they have."""

    digests: tuple[str, ...] = ()
    bytes: int = 0


def find(database: Database, blobs: Blobs, before: int) -> SweepResult:
    """Return the content that no package names, stored before a time (Unix milliseconds)."""
    written = blobs.listed()
    with database.read() as connection:
        rows = {
            row.digest: (row.size, row.stored_at) for row in connection.execute(select(schema.blob))
        }
        named = named_blobs.read(connection)
    found = {digest: one for digest, one in written.items() if digest not in rows} | rows
    sizes = {
        digest: size
        for digest, (size, at) in sorted(found.items())
        if at < before and digest not in named
    }
    return SweepResult(tuple(sizes), sum(sizes.values()))


def sweep(database: Database, blobs: Blobs, before: int) -> SweepResult:
    """Delete what `find` returns, and return what was deleted.

    Raises:
        StorageError: if the store does not take it; the next sweep deletes the rest.
    """
    found = find(database, blobs, before)
    digests = found.digests
    for start in range(0, len(digests), _BATCH):
        part = _forget(database, digests[start : start + _BATCH], before)
        blobs.delete(part)
    if digests:
        _log.info("content_swept", blobs=len(digests), bytes=found.bytes)
    return found


def _forget(database: Database, digests: Sequence[str], before: int) -> list[str]:
    """Delete the rows of blobs, except of those that were stored or asked for meanwhile."""
    with database.write() as connection:
        fresh = set(
            connection.scalars(
                select(_BLOB.digest).where(_BLOB.digest.in_(digests), _BLOB.stored_at >= before)
            )
        )
        old = [digest for digest in digests if digest not in fresh]
        connection.execute(delete(schema.blob).where(_BLOB.digest.in_(old)))
        blob_sweeps.begin(connection)
    return old


class Sweeper:
    """The periodic task; one hub process has one, for a single thread."""

    def __init__(self, blobs: Blobs, kept_days: int) -> None:
        """Take for how many days content that no package names is kept; 0: for ever."""
        self._blobs = blobs
        self._kept_ms = kept_days * DAY_MS
        # Not at the start of a hub: a listing of a large store takes its time.
        self._due_at = time.monotonic() + EVERY_SECONDS

    def run_once(self, database: Database) -> None:
        """Sweep, if it is time to."""
        if not self._kept_ms or time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + EVERY_SECONDS
        sweep(database, self._blobs, now_ms() - self._kept_ms)
