"""Deletion of expired records, one batch of a table in one short transaction.

Records are found by a read, so that the writers' lock is held for the deletion alone. The newest
record of a table always stays: SQLite would give its position to the next one, which the monitor
would then take for one that it has read.
"""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select, update

from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.dialect import BATCH
from gnomon.server.hub.webhooks.queue import DeliveryState

_ROLLOUT, _DRIFT, _WINDOW, _LABEL = (
    table.c for table in (schema.rollout, schema.drift, schema.window, schema.label)
)


class Batch(NamedTuple):
    """What one batch did."""

    deleted: int
    next: int | None  # where the next batch begins; None: nothing is left


def windows(database: Database, before: int, start: int) -> Batch:
    """Delete windows that arrived before a time and before every active rollout began.

    Args:
        database: the hub's state.
        before: epoch milliseconds.
        start: `Batch.next` of the batch before, at first 0.
    """
    with database.read() as connection:
        began = connection.scalar(select(func.min(_ROLLOUT.created_at)).where(schema.IS_ACTIVE))
    return _delete_received(database, schema.window, min(before, began or before), start)


def predictions(database: Database, before: int, start: int) -> Batch:
    """Delete sampled predictions; arguments as `windows`."""
    return _delete_received(database, schema.prediction, before, start)


def refusals(database: Database, before: int, start: int) -> Batch:
    """Delete examples of refused requests; arguments as `windows`."""
    return _delete_received(database, schema.refusal, before, start)


def events(database: Database, before: int, start: int) -> Batch:
    """Delete events of nodes; arguments as `windows`."""
    return _delete_received(database, schema.event, before, start)


def labels(database: Database, before: int, start: int) -> Batch:
    """Delete labels, and count those that waited no more; arguments as `windows`."""
    return _delete_received(database, schema.label, before, start)


def alerts(database: Database, before: int, start: int) -> Batch:
    """Delete alerts that were closed before a time; arguments as `windows`."""
    return _delete_ended(database, schema.alert, schema.alert.c.closed_at < before)


def deliveries(database: Database, before: int, start: int) -> Batch:
    """Delete deliveries that ended before a time; arguments as `windows`."""
    columns = schema.delivery.c
    ended = (columns.ended_at < before) & (columns.state != DeliveryState.WAITING.value)
    return _delete_ended(database, schema.delivery, ended)


def drift_figures(database: Database, before: int, start: int) -> Batch:
    """Delete figures of drift of which the model has no window left; arguments as `windows`.

    They have the data's own time, by which no record expires.
    """
    with database.read() as connection:
        models = connection.scalars(select(_DRIFT.model).distinct()).all()
        found = (_orphans(connection, model) for model in models)
        chosen = next((one for one in found if one is not None), None)
    if chosen is None:
        return Batch(0, None)
    with database.write() as connection:
        deleted = connection.execute(delete(schema.drift).where(chosen)).rowcount
    return Batch(deleted, 0)


def _orphans(connection: Connection, model: str) -> ColumnElement[bool] | None:
    """Return which figures of a model are older than its windows, of a few intervals at most."""
    oldest = connection.scalar(select(func.min(_WINDOW.ended_at)).where(_WINDOW.model == model))
    if oldest is None:
        return None
    of_model = (_DRIFT.model == model) & (_DRIFT.ended_at < oldest)
    found = select(_DRIFT.ended_at).where(of_model).distinct().order_by(_DRIFT.ended_at)
    intervals = connection.scalars(found.limit(10)).all()
    return of_model & (_DRIFT.ended_at <= intervals[-1]) if intervals else None


def _delete_received(database: Database, table: Table, before: int, start: int) -> Batch:
    """Delete the expired ones of the next records by position.

    Positions rise as records arrive. A label that was corrected is younger than its place, so the
    search ends only at a batch without any expired record.
    """
    position, received_at = table.c.position, table.c.received_at
    with database.read() as connection:
        newest = connection.scalar(select(func.max(position))) or 0
        rows = connection.execute(
            select(position, received_at)
            .where(position >= start, position < newest)
            .order_by(position)
            .limit(BATCH)
        ).all()
    expired = [row.position for row in rows if row.received_at < before]
    if not expired:
        return Batch(0, None)
    with database.write() as connection:
        chosen = position.in_(expired) & (received_at < before)
        if table is schema.label:
            _count_waiting(connection, chosen)
        deleted = connection.execute(delete(table).where(chosen)).rowcount
    return Batch(deleted, rows[-1].position + 1)


def _count_waiting(connection: Connection, chosen: ColumnElement[bool]) -> None:
    """Subtract the chosen labels from those that wait."""
    total = schema.label_total.c
    waiting = connection.execute(
        select(_LABEL.model, func.count()).where(chosen, _LABEL.waiting.is_(True)).group_by("model")
    ).all()
    for model, labels in waiting:
        connection.execute(
            update(schema.label_total)
            .where(total.model == model)
            .values(waiting=total.waiting - labels)
        )


def _delete_ended(database: Database, table: Table, ended: ColumnElement[bool]) -> Batch:
    with database.read() as connection:
        found = connection.scalars(select(table.c.id).where(ended).limit(BATCH)).all()
    if not found:
        return Batch(0, None)
    with database.write() as connection:
        deleted = connection.execute(delete(table).where(table.c.id.in_(found))).rowcount
    return Batch(deleted, 0)
