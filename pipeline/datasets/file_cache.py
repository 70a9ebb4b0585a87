"""The stamps and hashes of files when they were last read: a table in a local SQLite file.

It holds nothing that cannot be computed again; a damaged one is replaced.
"""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["FileCache", "Stamp"]

_TABLE = """CREATE TABLE IF NOT EXISTS file (
    path BLOB PRIMARY KEY, size INTEGER, modified INTEGER, changed INTEGER, inode INTEGER,
    hash BLOB
) WITHOUT ROWID"""

_QUERY = "SELECT * FROM file WHERE path >= ? AND path < ?"


class Stamp(NamedTuple):
    """What shows, without reading a file, that it has not changed; times in ns."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int


class FileCache:
    """Stamps and content hashes by path, in the SQLite file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, prefix: str = "") -> dict[str, tuple[Stamp, bytes]]:
        """Return what is known of paths that begin with `prefix`; nothing if it is damaged."""
        if not self._path.exists():
            return {}
        try:
            with closing(sqlite3.connect(self._path)) as database:
                rows = database.execute(_QUERY, _range(prefix)).fetchall()
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self._path.unlink()
            return {}
        return {os.fsdecode(path): (Stamp(*stamp), digest) for path, *stamp, digest in rows}

    def write(self, files: Iterable[tuple[str, Stamp, bytes]]) -> None:
        """Remember files; if that fails, they are read again the next time."""
        rows = [(os.fsencode(path), *stamp, digest) for path, stamp, digest in files]
        if not rows:
            return
        with suppress(OSError, sqlite3.Error):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path)) as database, database:
                database.execute(_TABLE)
                database.executemany("REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?)", rows)


def _range(prefix: str) -> tuple[bytes, bytes]:
    start = os.fsencode(prefix)
    return start, start + b"\xff" * 8
