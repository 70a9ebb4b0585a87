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

from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.migrations import migrate

_WRITE = "gnomon_write"
_BUSY_MS = 20_000


def _connected(connection: Any, _record: Any) -> None:
    # The driver would begin transactions on its own, and too late: not before a read.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: what was acknowledged survives a power cut; NORMAL loses it (measured: 568 rows).
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.close()


def _begun(connection: Connection) -> None:
    # Who reads first and writes later cannot wait for a turn; so writers say so at once.
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, pool_size=16, max_overflow=16)
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begun)
    return engine


class Database:
    """The hub's SQL database, with its schema up to date. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Open the database and migrate it to the newest schema.

        Args:
            url: a SQLAlchemy URL, such as `sqlite:////var/lib/gnomon/hub.db`.
        """
        self.engine = _engine(make_url(url))
        self._writer = self.engine.execution_options(**{_WRITE: True})
        # SQLite has one writer; waiting here is fair and cheap, waiting in SQLite polls.
        self._turn = threading.RLock()
        with self.write() as connection:
            migrate(connection)

    @classmethod
    def in_folder(cls, folder: Path) -> "Database":
        """Open `hub.db` in a folder, which must exist."""
        return cls(f"sqlite:///{folder.resolve() / 'hub.db'}")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one consistent state."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose writes are durable, all or none, when the block ends."""
        with self._turn, self._writer.begin() as connection:
            yield connection

    @contextmanager
    def change(self, actor: str) -> Iterator[Change]:
        """Give a change by `actor`: what it writes commits together with its audit record.

        Raises:
            RuntimeError: at the end, where something was written and nothing audited.
        """
        with self.write() as connection:
            change = Change(connection, actor)
            yield change
            change.finish()

    def pragma(self, name: str) -> Mapping[str, Any]:
        """Return a pragma's value, for tests and the doctor."""
        with self.read() as connection:
            row = connection.exec_driver_sql(f"PRAGMA {name}").mappings().one()
            return dict(row)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
