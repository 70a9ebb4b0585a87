"""The database: one engine, reads, and writes that are durable when they return.

with database.read() as connection: ...
with database.write() as connection: ...          # telemetry and what machines derive from it
with database.change("ada") as change:            # what somebody decided
    change.execute(...)
    change.audit("place", "eta", {"version": "2"})
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from gnomon.runtime.errors import ConfigurationError, GnomonError, StorageError
from gnomon.runtime.extras import missing_extra
from gnomon.server.hub.store import audit
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.failures import translated
from gnomon.server.hub.store.migrations import MISSING, migrate
from gnomon.server.hub.store.rights import Actor
from gnomon.server.hub.store.text import storable_json

_log = structlog.get_logger(__name__)

#: SQLite's file in a hub's data folder.
FILE_NAME = "hub.db"

_WRITE = "gnomon_write"
_BUSY_MS = 20_000

#: How long a writer of PostgreSQL may leave the database idle before it loses its lock to others,
#: and how long others wait for that lock. So a hub that is frozen stops no other.
IDLE_WRITER_MS = 5_000
LOCK_MS = 20_000

#: A machine that is lost is noticed within this time by whoever waits for it.
_LOST_MS = 20_000
_KEEPALIVE: Mapping[str, int] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": _LOST_MS,
}
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
        connection.exec_driver_sql(
            f"SELECT set_config('idle_in_transaction_session_timeout', '{IDLE_WRITER_MS}', true), "
            f"pg_advisory_xact_lock({_WRITERS_LOCK})"
        )


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        # The URL itself may hold a password.
        raise ConfigurationError("database_url is not a URL; for example postgresql://…") from error
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise ConfigurationError(f"database_url is of {backend!r}; expected sqlite or postgresql")
    if backend == "sqlite":
        return parsed
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return _with_limits(parsed)


def _with_limits(url: URL) -> URL:
    """Return a URL of PostgreSQL's with our limits; what it says itself holds."""
    server = {"lock_timeout": LOCK_MS, "tcp_keepalives_idle": 10, "tcp_user_timeout": _LOST_MS}
    options = " ".join(f"-c {name}={value}" for name, value in server.items())
    given = url.query.get("options", "")
    options = " ".join([options, given if isinstance(given, str) else " ".join(given)]).strip()
    limits = {name: str(value) for name, value in _KEEPALIVE.items() if name not in url.query}
    return url.update_query_dict({**limits, "options": options})


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


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        known = translated(error)
        if known is None:
            raise
        _log.warning("database_failed", kind=known.code, reason=str(error.__cause__ or error))
        raise known from error


class Database:
    """The hub's SQL database, with its schema up to date. Safe to share between threads."""

    def __init__(self, url: str, *, must_exist: bool = False, may_upgrade: bool = True) -> None:
        """Open the database and migrate it to the newest schema.

        Args:
            url: `sqlite:////var/lib/gnomon/hub.db` or `postgresql://user:password@host/name`.
            must_exist: whether a database without a schema is refused instead of begun.
            may_upgrade: whether an older schema may be migrated, or is refused.

        Raises:
            ConfigurationError: if the URL is neither of the two, its driver is missing, the
                database does not accept the user, or its schema is of a newer Gnomon, or of an
                earlier one and may not be migrated.
            NotReady: if the database cannot be reached.
            StorageError: if it is damaged, its disk is full, or it must exist and does not.
        """
        parsed = _parse(url)
        self.engine = _engine(parsed)
        self._writer = self.engine.execution_options(**{_WRITE: True})
        self._reader = self.engine
        if self.engine.dialect.name == "postgresql":
            self._reader = self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        # SQLite has one writer; waiting for this lock is fair and cheap, SQLite itself polls.
        self._turn = threading.RLock()
        #: Rises after each transaction of this process that appended to the audit chain.
        self.decisions = 0
        try:
            with self.write() as connection:
                migrate(connection, must_exist=must_exist, may_upgrade=may_upgrade)
        except GnomonError as error:
            self.close()
            place = parsed.database if parsed.get_backend_name() == "sqlite" else parsed.host
            raise type(error)(f"database {place}: {error}", details=error.details) from error

    @classmethod
    def in_folder(
        cls, folder: Path, *, must_exist: bool = False, may_upgrade: bool = True
    ) -> "Database":
        """Open `hub.db` in a folder, which must exist; only its owner can read it.

        Arguments and errors as those of `Database`.
        """
        path = folder.resolve() / FILE_NAME
        try:
            if must_exist and not (path.exists() and path.stat().st_size):
                raise StorageError(f"database {path}: {MISSING}")
            if path.is_file() or not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                path.chmod(0o600)
        except OSError as error:
            raise StorageError(f"database {path} cannot be opened: {error}") from error
        return cls(f"sqlite:///{path}", must_exist=must_exist, may_upgrade=may_upgrade)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent state; raises as `write`."""
        with _translating(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection whose writes are durable, all or none, when the block ends.

        Raises:
            Overloaded: if another change takes too long, or this one did.
            NotReady: if the database cannot be reached.
            StorageError: if it is damaged, or its disk is full.
        """
        with _translating(), self._turn:
            info: dict[Any, Any] = {}
            try:
                with self._writer.begin() as connection:
                    info = connection.info
                    yield connection
            finally:
                self.decisions += bool(info.pop(audit.AUDITED, False))

    @contextmanager
    def change(self, actor: Actor | str) -> Iterator[Change]:
        """Yield a change by `actor`: what it writes commits together with its audit record.

        Raises:
            RuntimeError: at the end, if something was written and nothing audited.
            NotAllowed: from within, if the actor may not do what is audited.
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

    def truncate_log(self) -> None:
        """Empty SQLite's write-ahead log, which holds what pages held before."""
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
