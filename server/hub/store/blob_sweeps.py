"""How uploads notice a sweep of content, over all hubs of a database.

A sweep deletes the row of a blob first and its content later. Somebody may upload the same blob in
between, so that the content of a new row would be deleted. So a counter in the database is odd
while a sweep deletes content, and rises with each one. Content is deleted in a transaction that
holds the writers' lock, and only if it has no row. An upload reads the counter before it writes
content and in the transaction that adds rows. If it rose or is odd, the content is looked for
there, and written again if it is gone.
"""

from sqlalchemy import Connection, insert, select, update

from gnomon.server.hub.store import schema

_NAME = "blob_sweeps"
_COUNTER = schema.counter.c


def read(connection: Connection) -> int:
    """Return the counter."""
    found = connection.scalar(select(_COUNTER.value).where(_COUNTER.name == _NAME))
    return int(found or 0)


def is_quiet(connection: Connection, mark: int) -> bool:
    """Return whether no content was deleted since the counter was read."""
    return mark % 2 == 0 and read(connection) == mark


def begin(connection: Connection) -> None:
    """Begin to delete content, in the transaction that deletes its rows."""
    _set(connection, read(connection) + 1 | 1)


def end(connection: Connection) -> None:
    """End it, in the transaction in which the content was deleted."""
    _set(connection, (read(connection) + 2) & ~1)


def _set(connection: Connection, value: int) -> None:
    done = connection.execute(
        update(schema.counter).where(_COUNTER.name == _NAME).values(value=value)
    )
    if done.rowcount == 0:
        connection.execute(insert(schema.counter).values(name=_NAME, value=value))
