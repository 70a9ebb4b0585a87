"""Alembic migrations; run when the hub starts."""

import logging
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

from gnomon.runtime.errors import ConfigurationError, StorageError

MISSING = (
    "there is no hub's state here, although its data folder has an authority or content: is a file "
    "system not mounted? `gnomon hub restore` makes a data folder from a backup; for a new hub, "
    "name an empty data folder"
)

FOLDER = Path(__file__).parent

#: The newest revision. A database that has it needs no Alembic, which takes long to import.
HEAD = "0018"

_VERSION_TABLE = "alembic_version"


def migrate(connection: Connection, *, must_exist: bool = False, may_upgrade: bool = True) -> None:
    """Bring the database to the newest revision, in the caller's transaction.

    Args:
        connection: of that transaction.
        must_exist: whether a database without a schema is refused instead of begun.
        may_upgrade: whether an older schema may be brought up; a hub of an earlier Gnomon that uses
            it could not go on.

    Raises:
        ConfigurationError: if it has a newer one, or an older one that may not be brought up.
        StorageError: if it has no schema yet, and `must_exist` is set.
    """
    revision = _revision(connection)
    if revision is None and must_exist:
        raise StorageError(MISSING)
    if revision == HEAD:
        return
    if revision is not None and revision > HEAD:
        raise ConfigurationError(
            f"the database has schema {revision[:40]}, of a newer Gnomon than this one, which "
            f"knows schemas up to {HEAD}: run the newer Gnomon, or restore a backup"
        )
    if revision is not None and not may_upgrade:
        raise ConfigurationError(
            f"the database has schema {revision[:40]}, of an earlier Gnomon; this one needs schema "
            f"{HEAD}: make a backup with the earlier one, stop all hubs of this database, and run "
            "`gnomon hub migrate`"
        )
    # It logs each of its plugins before the first migration.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    from alembic import command
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, HEAD)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    return connection.scalar(select(column("version_num")).select_from(table(_VERSION_TABLE)))
