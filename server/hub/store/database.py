"""The database: one engine, reads, and writes that are durable when they return.

with database.read() as connection: ...
with database.write() as connection: ...          # telemetry and what machines derive from it
with database.change("ada") as change:            # what somebody decided
    change.execute(...)
    change.audit("place", "eta", {"version": "2"})
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.extras import missing_extra
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.migrations import migrate
from gnomon.server.hub.store.rights import Actor
from gnomon.server.hub.store.text import storable_json

#: SQLite's file in a hub's data folder.
FILE_NAME = "hub.db"

_WRITE = "gnomon_write"
_BUSY_MS = 20_000
_CONNECTIONS = 16

#: The advisory lock that PostgreSQL's writers hold, known to all hubs of one database.
_WRITERS_LOCK = int.from_bytes(b"gnomon")


def _connected(connection: Any, _record: Any) -> None:
    # The driver would begin transactions by itself, and only before a write.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: what was acknowledged survives a power cut; NORMAL loses it (measured: 568 rows).
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.close()


def _begun(connection: Connection) -> None:
    # A reader that becomes a writer cannot wait for the lock; writers take it at once.
    write = connection.get_execution_options().get(_WRITE, False)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
    elif write:
        # One writer at a time here as well, over all hubs: what a change has read stays the same
        # until it commits, and tests on one database are valid for the other.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        # The URL itself may hold a password.
        raise ConfigurationError("database_url is not a URL; for example postgresql://…") from error
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise ConfigurationError(f"database_url is of {backend!r}; expected sqlite or postgresql")
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _engine(url: URL) -> Engine:
    sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_engine(
            url,
            pool_size=_CONNECTIONS,
            max_overflow=_CONNECTIONS,
            pool_pre_ping=not sqlite,
            json_serializer=storable_json,
        )
    except ImportError as error:
        raise ConfigurationError(
            missing_extra("PostgreSQL", "psycopg", "server,postgres")
        ) from error
    if sqlite:
        event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begun)
    return engine


class Database:
    """The hub's SQL database, with its schema up to date. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Open the database and migrate it to the newest schema.

        Args:
            url: `sqlite:////var/lib/gnomon/hub.db` or `postgresql://user:password@host/name`.

        Raises:
            ConfigurationError: if the URL is neither of the two, or its driver is missing.
        """
        self.engine = _engine(_parse(url))
        self._writer = self.engine.execution_options(**{_WRITE: True})
        self._reader = self.engine
        if self.engine.dialect.name == "postgresql":
            self._reader = self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        # SQLite has one writer; waiting for this lock is fair and cheap, SQLite itself polls.
        self._turn = threading.RLock()
        with self.write() as connection:
            migrate(connection)

    @classmethod
    def in_folder(cls, folder: Path) -> "Database":
        """Open `hub.db` in a folder, which must exist."""
        return cls(f"sqlite:///{folder.resolve() / FILE_NAME}")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent state."""
        with self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection whose writes are durable, all or none, when the block ends."""
        with self._turn, self._writer.begin() as connection:
            yield connection

    @contextmanager
    def change(self, actor: Actor | str) -> Iterator[Change]:
        """Yield a change by `actor`: what it writes commits together with its audit record.

        Raises:
            RuntimeError: at the end, where something was written and nothing audited.
            NotAllowed: from within, where the actor may not do what is audited.
        """
        with self.write() as connection:
            change = Change(connection, actor)
            yield change
            change.finish()

    def pragma(self, name: str) -> Mapping[str, Any]:
        """Return the value of a pragma of SQLite's, for tests and the doctor."""
        with self.read() as connection:
            row = connection.exec_driver_sql(f"PRAGMA {name}").mappings().one()
            return dict(row)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
