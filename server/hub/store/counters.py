"""Counters that only rise; each number is used once, since the counter's row is the lock."""

from sqlalchemy import Connection, select, update

from gnomon.server.hub.store import schema

#: The length of the audit chain.
AUDIT = "audit"
#: Of desired states.
GENERATION = "generation"
#: Of this hub's memory: a hub that is restored from a backup begins a new one.
EPOCH = "epoch"
#: Up to which audit record deliveries of webhooks were created.
WEBHOOKS = "webhooks"


def read(connection: Connection, name: str) -> int:
    """Return the last number."""
    columns = schema.counter.c
    value: int = connection.execute(select(columns.value).where(columns.name == name)).scalar_one()
    return value


def move(connection: Connection, name: str, value: int) -> None:
    """Set a counter that follows another."""
    connection.execute(
        update(schema.counter).where(schema.counter.c.name == name).values(value=value)
    )


def raise_to(connection: Connection, name: str, value: int) -> None:
    """Set a counter that is below a value to that value."""
    columns = schema.counter.c
    connection.execute(
        update(schema.counter)
        .where(columns.name == name, columns.value < value)
        .values(value=value)
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
