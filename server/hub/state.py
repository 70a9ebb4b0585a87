"""A hub's state on disk or elsewhere: its data folder, database and content."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from gnomon.runtime.errors import ConfigurationError, StorageError
from gnomon.runtime.lock import FolderLock
from gnomon.server.hub.doctor import BLOBS
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store.blobs import Blobs
from gnomon.server.hub.store.database import Database

_log = structlog.get_logger(__name__)

#: The rights of others than the owner.
OTHERS = 0o077


def open_database(
    settings: HubSettings, *, must_exist: bool = False, may_upgrade: bool = False
) -> Database:
    """Open the database that the settings name, or SQLite in the data folder.

    Args:
        settings: of the hub.
        must_exist: whether a database without a schema is refused instead of begun.
        may_upgrade: whether the schema of an earlier Gnomon may be migrated: not by a command that
            a person may run beside a hub of that Gnomon.

    Raises:
        ConfigurationError: if there is no such folder, the URL is wrong, or the schema is of
            another Gnomon.
        StorageError: if it is damaged, or it `must_exist` and does not.
    """
    if settings.database_url:
        return Database(settings.database_url, must_exist=must_exist, may_upgrade=may_upgrade)
    if not settings.data_folder.is_dir():
        raise ConfigurationError(f"there is no data folder {settings.data_folder}")
    return Database.in_folder(settings.data_folder, must_exist=must_exist, may_upgrade=may_upgrade)


def migrate(settings: HubSettings) -> None:
    """Migrate the database that the settings name to the schema of this Gnomon.

    Raises:
        ConfigurationError: if there is no such folder, or the schema is of a newer Gnomon.
        StorageError: if a hub uses the folder, or there is no hub's database.
    """
    if not settings.data_folder.is_dir():
        raise ConfigurationError(f"there is no data folder {settings.data_folder}")
    lock = FolderLock(settings.data_folder)
    try:
        open_database(settings, must_exist=True, may_upgrade=True).close()
    finally:
        lock.release()


def has_state(folder: Path) -> bool:
    """Return whether a hub has run with this data folder, so that a database must be there."""
    has_authority = any((folder / name).exists() for name in ("authority.key", "authority.pem"))
    blobs = folder / BLOBS
    return has_authority or (blobs.is_dir() and any(blobs.iterdir()))


def open_blobs(settings: HubSettings, database: Database) -> Blobs:
    """Open the store of content that the settings name, or the folder in the data folder.

    Raises:
        ConfigurationError: if the URL is wrong, or the store cannot be written.
    """
    return Blobs.at(database, settings.blob_url, settings.data_folder / BLOBS)


@contextmanager
def naming_disk(folder: Path) -> Iterator[None]:
    """Name the data folder in errors of its disk."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"the data folder {folder} cannot be used: {error}") from error


def private_folder(folder: Path) -> Path:
    """Make a data folder, for its owner alone; return it.

    Raises:
        ConfigurationError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_mode & OTHERS:
            folder.chmod(0o700)
            _log.warning("data_folder_closed", folder=str(folder), reason="others could read it")
    except OSError as error:
        raise ConfigurationError(f"data folder {folder} cannot be made: {error}") from error
    return folder
