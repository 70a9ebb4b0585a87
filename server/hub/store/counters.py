"""Numbers that only rise, each drawn once; the row they stand in is the lock of who draws."""

from sqlalchemy import Connection, select, update

from gnomon.server.hub.store import schema

#: The length of the audit chain.
AUDIT = "audit"
#: Of desired states.
GENERATION = "generation"
#: How far in the audit chain webhooks have been told.
WEBHOOKS = "webhooks"


def read(connection: Connection, name: str) -> int:
    """Return the number that was drawn last."""
    columns = schema.counter.c
    value: int = connection.execute(select(columns.value).where(columns.name == name)).scalar_one()
    return value


def move(connection: Connection, name: str, value: int) -> None:
    """Set a number that follows another."""
    connection.execute(
        update(schema.counter).where(schema.counter.c.name == name).values(value=value)
    )


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
