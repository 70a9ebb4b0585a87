"""The rows of blobs: which content is verified and durable, and when it was stored last."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, insert, select, update

from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import DAY_MS, now_ms
from gnomon.server.hub.store.dialect import BATCH

#: The time of a blob is written again if it is older: earlier than any sweep deletes one.
FRESH_MS = DAY_MS // 2

_BLOB = schema.blob.c


def known(connection: Connection, digests: Iterable[str]) -> dict[str, int]:
    """Return those of the digests that the hub has, and when they were stored (Unix ms)."""
    found: dict[str, int] = {}
    for part in _parts(digests):
        rows = connection.execute(
            select(_BLOB.digest, _BLOB.stored_at).where(_BLOB.digest.in_(part))
        )
        found.update((row.digest, row.stored_at) for row in rows)
    return found


def is_old(stored_at: int) -> bool:
    """Return whether a blob's time should be written again if it is needed now."""
    return stored_at < now_ms() - FRESH_MS


def keep(connection: Connection, stored: Mapping[str, int]) -> None:
    """Let the old ones of these blobs count as stored now, so that no sweep deletes them."""
    for part in _parts(digest for digest, stored_at in stored.items() if is_old(stored_at)):
        connection.execute(
            update(schema.blob).where(_BLOB.digest.in_(part)).values(stored_at=now_ms())
        )


def add(connection: Connection, sizes: Mapping[str, int]) -> None:
    """Add blobs with their sizes in bytes."""
    rows = [
        {"digest": digest, "size": size, "stored_at": now_ms()} for digest, size in sizes.items()
    ]
    if rows:
        connection.execute(insert(schema.blob), rows)


def _parts(digests: Iterable[str]) -> Iterable[list[str]]:
    """Cut digests into parts that one statement may name."""
    wanted = list(digests)
    return (wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH))
