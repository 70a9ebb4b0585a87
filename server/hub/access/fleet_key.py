"""Which authority the database belongs to, so that a lost or another key is noticed at the start.

Every node trusts the authority's key. With another key the hub would run, and cut off the fleet.
"""

from pathlib import Path

from sqlalchemy import Connection, insert, select

from gnomon.runtime.errors import GnomonError, StorageError
from gnomon.server.hub.access.authority import Authority
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database

#: The row of the table of counters: bits of the hash of the authority's public key.
_NAME = "authority"
_BITS = 62

_COUNTER = schema.counter.c


def load(database: Database, folder: Path) -> Authority:
    """Return the authority of a data folder; make one if the database has none yet.

    Raises:
        StorageError: if the database's authority is not in the folder, or is another.
        ConfigurationError: if the files cannot be read.
    """
    with database.read() as connection:
        recorded = _recorded(connection)
    authority = Authority.in_folder(folder, may_make=recorded is None)
    if recorded is None:
        with database.write() as connection:
            connection.execute(insert(schema.counter).values(name=_NAME, value=_number(authority)))
    elif recorded != _number(authority):
        raise StorageError(
            f"the authority in {folder} is not the one that this database's nodes trust: put back "
            "authority.key and authority.pem of this hub, or of another hub of this database"
        )
    return authority


def faults(connection: Connection, folder: Path) -> list[str]:
    """Return what is wrong with the authority in a folder; changes nothing."""
    recorded = _recorded(connection)
    try:
        authority = Authority.in_folder(folder, may_make=False, may_repair=False)
    except GnomonError as error:
        return [str(error)]
    if recorded is not None and recorded != _number(authority):
        return [f"the authority in {folder} is not the one that this database's nodes trust"]
    return []


def _recorded(connection: Connection) -> int | None:
    return connection.scalar(select(_COUNTER.value).where(_COUNTER.name == _NAME))


def _number(authority: Authority) -> int:
    return int(authority.key_hash, 16) >> (256 - _BITS)
