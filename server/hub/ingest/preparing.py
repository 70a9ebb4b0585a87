"""Preparation of uploads: what of them is new, as rows.

All uploads of a group are read in one state of the database, by three queries. Reading windows is
slow, so it is done before the writers' lock is taken.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from gnomon.runtime.decoding import UNREADABLE
from gnomon.runtime.errors import GnomonError
from gnomon.server.hub.ingest import receipts
from gnomon.server.hub.ingest.batch import Entry, NewRecords, RecordsMissing, Upload
from gnomon.server.hub.ingest.numbering import NumberedRecord, number, number_damaged
from gnomon.server.hub.ingest.records import REFUSED_RECORD, RecordReader, Sender
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.schema import PRODUCTION
from gnomon.server.hub.versions.catalogue import Catalogue

#: Characters of a digest, with which a refused record's event ends.
_DIGEST = 64

_NODE = schema.node.c


def prepare(
    connection: Connection, catalogue: Catalogue, uploads: Sequence[Upload]
) -> list[NewRecords]:
    """Return what is new in uploads; those that are wrong, or bring nothing new, are answered."""
    known = receipts.watermarks(connection, [one.key for one in uploads])
    senders = _senders(connection, uploads)
    batches = []
    for upload, sender in zip(uploads, senders, strict=True):
        try:
            batch = _prepare(connection, catalogue, upload, sender, known[upload.key])
        except (GnomonError, RecordsMissing) as error:
            upload.error = error
            continue
        if batch.entries:
            batches.append(batch)
        else:
            upload.watermark = batch.known
    return batches


def _prepare(
    connection: Connection, catalogue: Catalogue, upload: Upload, sender: Sender, known: int
) -> NewRecords:
    numbered = _number(connection, sender, upload.records, known)
    new = [one for one in numbered if one.sequence > known]
    if new and known < upload.acknowledged and 0 < upload.kept_from <= upload.acknowledged:
        raise RecordsMissing(known)
    reader = RecordReader(connection, catalogue, sender)
    return NewRecords(upload, sender, known, [_read(reader, sender, one) for one in new])


def _read(reader: RecordReader, sender: Sender, one: NumberedRecord) -> Entry:
    try:
        return Entry(one, reader.read(one))
    except (GnomonError, *UNREADABLE) as error:  # not an error of the database
        return Entry(one, sender.refuse(one, error), str(error))


def _senders(connection: Connection, uploads: Sequence[Upload]) -> list[Sender]:
    rows = connection.execute(
        select(_NODE.name, _NODE.environment, _NODE.assigned).where(
            _NODE.name.in_({one.node for one in uploads})
        )
    )
    nodes: dict[str, Any] = {row.name: row for row in rows}
    return [_sender(upload, nodes) for upload in uploads]


def _sender(upload: Upload, nodes: Mapping[str, Any]) -> Sender:
    node = nodes.get(upload.node)
    environment, assigned = (node.environment, node.assigned) if node else (PRODUCTION, ())
    return Sender(upload.node, upload.boot, now_ms(), environment, frozenset(assigned))


def _number(
    connection: Connection, sender: Sender, records: Sequence[bytes], watermark: int
) -> list[NumberedRecord]:
    numbered = number(records)
    if numbered is not None or not records:
        return numbered or []
    events = schema.event.c
    refused = connection.scalars(
        select(events.detail).where(
            events.node == sender.node, events.boot == sender.boot, events.kind == REFUSED_RECORD
        )
    )
    return number_damaged(records, watermark, {detail[-_DIGEST:] for detail in refused})
