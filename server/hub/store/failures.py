"""Errors of the databases as errors of ours: what happened, and who can mend it.

Mistakes in a statement (a broken constraint, a value that does not fit) are not translated: those
are for the code that made the statement.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionError

from gnomon.runtime.errors import (
    ConfigurationError,
    GnomonError,
    NotReady,
    Overloaded,
    StorageError,
)

_RETRY_SECONDS = 1.0
_PRIMARY = 0xFF

_DAMAGED = (
    "the database is damaged or no database: `gnomon hub doctor` examines it, `gnomon hub restore` "
    "makes one from a backup"
)
_FULL = "the disk of the database is full; nothing was stored"

#: Primary result codes of SQLite.
_STORAGE: Mapping[int, str] = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: "the disk of the database cannot be read or written",
    sqlite3.SQLITE_CANTOPEN: "the database's file cannot be opened",
    sqlite3.SQLITE_READONLY: "the database's file cannot be written",
    sqlite3.SQLITE_PERM: "the database's file cannot be used by this user",
}
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

#: Classes of PostgreSQL's SQLSTATE, most special first.
_STATES: tuple[tuple[str, type[GnomonError], str], ...] = (
    ("25P03", Overloaded, "the database ended a change that took too long"),
    ("40", Overloaded, "the database undid a change that met another"),
    ("55P03", Overloaded, "the database is busy with another change"),
    ("57014", Overloaded, "the database ended a statement that took too long"),
    ("53300", Overloaded, "the database has no connection left"),
    ("53100", StorageError, _FULL),
    ("53", StorageError, "the database lacks memory or other resources"),
    ("58", StorageError, "the database's system failed; its log tells why"),
    ("XX", StorageError, "the database is damaged; its log tells why"),
    ("25006", StorageError, "the database takes no writes; it may be a replica"),
    ("28", ConfigurationError, "database_url: the database does not accept the user"),
    ("3D", ConfigurationError, "database_url: there is no such database"),
    ("42501", ConfigurationError, "database_url: the user lacks a right on the database"),
    ("57P", NotReady, "the database is starting or was stopped"),
    ("08", NotReady, "the database cannot be reached"),
)

#: What psycopg's messages say when a connection fails: it has no SQLSTATE for that.
_REFUSED: tuple[tuple[str, str], ...] = (
    ("password authentication failed", "28"),
    ("no password supplied", "28"),
    ("role ", "28"),
    ("pg_hba.conf", "28"),
    ("database ", "3D"),
    ("too many clients", "53300"),
    ("remaining connection slots", "53300"),
)


def translated(error: SQLAlchemyError) -> GnomonError | None:
    """Return the error that a caller meets; None for one that is a mistake in a statement."""
    if isinstance(error, NoConnectionError):
        return _overloaded("the hub's connections to the database are all in use")
    if not isinstance(error, DBAPIError) or error.orig is None:
        return None
    if isinstance(error.orig, sqlite3.Error):
        return from_sqlite(error.orig)
    if isinstance(error, IntegrityError | DataError):
        return None
    return _from_postgresql(error)


def from_sqlite(error: sqlite3.Error) -> GnomonError | None:
    """Return the error that a caller meets for one of SQLite's; None as `translated`."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code in _BUSY:
        return _overloaded("the database is busy with another change")
    return StorageError(_STORAGE[code]) if code in _STORAGE else None


def _from_postgresql(error: DBAPIError) -> GnomonError | None:
    state = getattr(error.orig, "sqlstate", None) or _state_of_refusal(error)
    for prefix, kind, text in _STATES:
        if state.startswith(prefix):
            return _overloaded(text) if kind is Overloaded else kind(text)
    return None


def _state_of_refusal(error: DBAPIError) -> str:
    if isinstance(error, ProgrammingError):
        return ""
    text = str(error.orig)
    if "FATAL" in text:
        for words, state in _REFUSED:
            if words in text:
                return state
    return "08006"


def _overloaded(text: str) -> Overloaded:
    details: dict[str, Any] = {"retry_after_seconds": _RETRY_SECONDS}
    return Overloaded(f"{text}; try again", details=[details])
