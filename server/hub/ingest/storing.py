"""Storage of uploads: all of a group at once; if that fails, each alone; then record by record.

So what SQL refuses costs one record, and neither its neighbours nor other nodes.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, insert
from sqlalchemy.exc import DataError, IntegrityError

from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.ingest import counts
from gnomon.server.hub.ingest.batch import NewRecords
from gnomon.server.hub.ingest.records import Rows, Sender
from gnomon.server.hub.monitoring import labels, predictions
from gnomon.server.hub.monitoring.label_sources import LabelSource
from gnomon.server.hub.monitoring.waiting import MAXIMUM_WAITING
from gnomon.server.hub.store import schema

_Part = tuple[Sender, Rows]

_INSERTS = tuple(insert(table) for table in (schema.window, schema.refusal, schema.event))


def store(connection: Connection, batches: Sequence[NewRecords]) -> None:
    """Store batches in the caller's transaction, all of them but what can never be stored.

    A failure of the database itself is raised: the nodes send the same again later.
    """
    parts = [_together(batch) for batch in batches]
    if not _try_to_store(connection, parts):
        return
    for batch, part in zip(batches, parts, strict=True):
        if len(batches) == 1 or _try_to_store(connection, [part]):
            _store_one_by_one(connection, batch)


def _together(batch: NewRecords) -> _Part:
    rows = Rows()
    for entry in batch.entries:
        rows.add(entry.rows)
    return batch.sender, rows


def _store_one_by_one(connection: Connection, batch: NewRecords) -> None:
    for entry in batch.entries:
        reason = _try_to_store(connection, [(batch.sender, entry.rows)])
        if reason:
            entry.refused = reason
            entry.rows = batch.sender.refuse(entry.numbered, reason)
            _store_rows(connection, [(batch.sender, entry.rows)])


def _try_to_store(connection: Connection, parts: Sequence[_Part]) -> str:
    """Store rows, all or none; return why they can never be stored, or nothing."""
    try:
        with connection.begin_nested():
            _store_rows(connection, parts)
    except (IntegrityError, DataError) as error:
        return f"it cannot be stored: {error.orig}"
    except (InvalidInput, OverflowError) as error:
        return f"it cannot be stored: {error}"
    return ""


def _store_rows(connection: Connection, parts: Sequence[_Part]) -> None:
    windows = [row for _, rows in parts for row in rows.windows]
    refusals = [row for _, rows in parts for row in rows.refusals]
    events = [row for _, rows in parts for row in rows.events]
    for statement, values in zip(_INSERTS, (windows, refusals, events), strict=True):
        if values:
            connection.execute(statement, values)
    counts.add(connection, windows)
    for sender, rows in parts:
        for (model, digest), sampled in rows.predictions.items():
            predictions.record_predictions(
                connection, sender.node, model, digest, sampled, sender.environment
            )
        _store_labels(connection, sender, rows.label_rows)


def _store_labels(
    connection: Connection, sender: Sender, label_rows: Sequence[labels.LabelRow]
) -> None:
    if not label_rows:
        return
    ingested = labels.ingest(connection, label_rows, LabelSource(sender.node, is_node=True))
    if ingested.refused:
        raise InvalidInput(
            f"{ingested.refused} labels: {MAXIMUM_WAITING:,} of the model wait for predictions"
        )
