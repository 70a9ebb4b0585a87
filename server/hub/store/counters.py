"""Numbers that only rise, each drawn once; the row they stand in is the lock of who draws."""

from sqlalchemy import Connection, update

from gnomon.server.hub.store import schema

#: The length of the audit chain.
AUDIT = "audit"
#: Of desired states.
GENERATION = "generation"


def advance(connection: Connection, name: str) -> int:
    """Return the next number, in the caller's transaction."""
    columns = schema.counter.c
    number: int = connection.execute(
        update(schema.counter)
        .where(columns.name == name)
        .values(value=columns.value + 1)
        .returning(columns.value)
    ).scalar_one()
    return number
