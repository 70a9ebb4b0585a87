"""Telemetry: records become rows, each exactly once, in the transaction that moves the watermark.

A record that the hub cannot read or store becomes an event and is counted; it never blocks the
queue behind it. An upload is stored whole; if that fails by what it holds, record by record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError

from gnomon.runtime.decoding import UNREADABLE
from gnomon.runtime.errors import GnomonError, InvalidInput
from gnomon.server.hub.access import assigned, environments
from gnomon.server.hub.ingest import counts
from gnomon.server.hub.ingest.numbering import NumberedRecord, number, number_damaged
from gnomon.server.hub.ingest.quotas import UPLOADS, Quota, Quotas
from gnomon.server.hub.ingest.records import REFUSED_RECORD, RecordReader, Rows, Sender
from gnomon.server.hub.monitoring import labels, predictions
from gnomon.server.hub.monitoring.label_sources import LabelSource
from gnomon.server.hub.monitoring.waiting import MAXIMUM_WAITING
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions.catalogue import Catalogue

_log = structlog.get_logger(__name__)

MAXIMUM_RECORDS = 10_000
#: Boots of one node that are looked at in one call.
MAXIMUM_BOOTS = 64

#: The kind of event for records that a node was told are durable, and that are not here.
RECORDS_LOST = "records_lost"

_BOOT = 64

#: Characters of a digest, with which a refused record's event ends.
_DIGEST = 64


@dataclass
class _Entry:
    """One record: its rows, or the event that stands for it and the reason why."""

    numbered: NumberedRecord
    rows: Rows
    refused: str = ""


@dataclass
class _Batch:
    """What is new in one upload."""

    sender: Sender
    entries: list[_Entry] = field(default_factory=list)

    @property
    def refused(self) -> list[_Entry]:
        """The records that were refused."""
        return [entry for entry in self.entries if entry.refused]

    @property
    def watermark(self) -> int:
        """The number of the last record."""
        return self.entries[-1].numbered.sequence


class RecordsMissing(Exception):
    """Records above the watermark were acknowledged and lost; the node is to send them again."""

    def __init__(self, watermark: int) -> None:
        super().__init__(f"records above {watermark} were lost")
        self.watermark = watermark


class Telemetry:
    """Takes uploads."""

    def __init__(
        self, database: Database, catalogue: Catalogue, quotas: Quotas | None = None
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._quotas = quotas or Quotas(database, {})

    def upload(
        self,
        node: str,
        boot: str,
        records: Sequence[bytes],
        *,
        acknowledged: int = 0,
        kept_from: int = 0,
    ) -> int:
        """Store what is new and return the watermark: all up to it is durable here.

        Args:
            node: the sender.
            boot: of the records.
            records: serialized records.
            acknowledged: the watermark of the boot that the node was given before. If it is higher
                than the one here, this hub has lost records, and an event says so.
            kept_from: the node still has all records of the boot from here on; 0: unknown.

        Raises:
            RecordsMissing: the node still has records that were lost here, and sends them first.
            InvalidInput: if the boot has no name, the records are too many or out of order.
            Overloaded: if the node has reached a quota.
        """
        if not 0 < len(boot) <= _BOOT:
            raise InvalidInput(f"boot should have 1 to {_BOOT} characters, has {len(boot)}")
        if len(records) > MAXIMUM_RECORDS:
            raise InvalidInput(f"{len(records)} records in one call; at most {MAXIMUM_RECORDS}")
        self._quotas.check(node, *UPLOADS)
        while True:
            watermark, batch = self._prepare(node, boot, records)
            if batch is None:
                return watermark
            # Reading windows is slow, so it is done before the writers' lock is taken.
            with self._database.write() as connection:
                is_current = _watermark(connection, node, boot) == watermark
                if is_current:
                    _check_lost(watermark, acknowledged, kept_from)
                    _record_loss(connection, batch.sender, watermark, acknowledged)
                    _store(connection, batch)
                    _receive(connection, batch)
            if is_current:
                self._count(batch)
                _log_refused(batch)
                return batch.watermark

    def find_lost(self, node: str, acknowledged: Mapping[str, int]) -> dict[str, int]:
        """Return the watermarks here of boots that are below what the node was given.

        Args:
            node: the sender.
            acknowledged: the watermark by boot that the node was given; at most `MAXIMUM_BOOTS`
                of them are looked at.
        """
        boots = sorted(acknowledged)[-MAXIMUM_BOOTS:]
        if not boots:
            return {}
        receipts = schema.receipt.c
        with self._database.read() as connection:
            rows = connection.execute(
                select(receipts.boot, receipts.watermark).where(
                    receipts.node == node, receipts.boot.in_(boots)
                )
            )
            known = {row.boot: row.watermark for row in rows}
        found = {boot: known.get(boot, 0) for boot in boots}
        return {boot: here for boot, here in found.items() if here < acknowledged[boot]}

    def _count(self, batch: _Batch) -> None:
        """Count what was stored by the quotas of the node."""
        node, rows = batch.sender.node, [entry.rows for entry in batch.entries]
        sampled = sum(len(some) for one in rows for some in one.predictions.values())
        sampled += sum(len(one.refusals) + len(one.events) for one in rows)
        size = sum(len(entry.numbered.data) for entry in batch.entries)
        self._quotas.count(node, Quota.TELEMETRY_BYTES, size)
        self._quotas.count(node, Quota.WINDOWS, sum(len(one.windows) for one in rows))
        self._quotas.count(node, Quota.LABELS, sum(len(one.label_rows) for one in rows))
        self._quotas.count(node, Quota.SAMPLES, sampled)

    def _prepare(self, node: str, boot: str, records: Sequence[bytes]) -> tuple[int, _Batch | None]:
        """Return the watermark as it is, and what is new above it, if anything is."""
        with self._database.read() as connection:
            watermark = _watermark(connection, node, boot)
            environment = environments.of_node(connection, node)
            packages = assigned.of_node(connection, node)
            sender = Sender(node, boot, now_ms(), environment, packages)
            numbered = _number(connection, sender, records, watermark)
            new = [one for one in numbered if one.sequence > watermark]
            if not new:
                return watermark, None
            reader = RecordReader(connection, self._catalogue, sender)
            return watermark, _Batch(sender, [_read(reader, sender, one) for one in new])


def _read(reader: RecordReader, sender: Sender, one: NumberedRecord) -> _Entry:
    try:
        return _Entry(one, reader.read(one))
    except (GnomonError, *UNREADABLE) as error:  # not an error of the database
        return _Entry(one, sender.refuse(one, error), str(error))


def _store(connection: Connection, batch: _Batch) -> None:
    """Store a batch whole, or, if it holds what cannot be stored, all of it but that."""
    together = Rows()
    for entry in batch.entries:
        together.add(entry.rows)
    if not _try_to_store(connection, batch.sender, together):
        return
    for entry in batch.entries:
        reason = _try_to_store(connection, batch.sender, entry.rows)
        if reason:
            entry.refused = reason
            entry.rows = batch.sender.refuse(entry.numbered, reason)
            _store_rows(connection, batch.sender, entry.rows)


def _try_to_store(connection: Connection, sender: Sender, rows: Rows) -> str:
    """Store rows, all or none; return why they can never be stored, or nothing.

    A failure of the database itself is raised: the node sends the same again later.
    """
    try:
        with connection.begin_nested():
            _store_rows(connection, sender, rows)
    except (IntegrityError, DataError) as error:
        return f"it cannot be stored: {error.orig}"
    except (InvalidInput, OverflowError) as error:
        return f"it cannot be stored: {error}"
    return ""


def _store_rows(connection: Connection, sender: Sender, rows: Rows) -> None:
    tables = (
        (schema.window, rows.windows),
        (schema.refusal, rows.refusals),
        (schema.event, rows.events),
    )
    for table, values in tables:
        if values:
            connection.execute(insert(table), values)
    counts.add(connection, rows.windows)
    for (model, digest), sampled in rows.predictions.items():
        predictions.record_predictions(
            connection, sender.node, model, digest, sampled, sender.environment
        )
    if rows.label_rows:
        source = LabelSource(sender.node, is_node=True)
        ingested = labels.ingest(connection, rows.label_rows, source)
        if ingested.refused:
            raise InvalidInput(
                f"{ingested.refused} labels: {MAXIMUM_WAITING:,} of the model wait for predictions"
            )


def _check_lost(known: int, acknowledged: int, kept_from: int) -> None:
    """Raise `RecordsMissing` if records were lost here that the node still has."""
    if known < acknowledged and 0 < kept_from <= acknowledged:
        raise RecordsMissing(known)


def _record_loss(connection: Connection, sender: Sender, known: int, acknowledged: int) -> None:
    """Record that the node was promised more than this hub has, as after a restore."""
    if acknowledged <= known:
        return
    detail = (
        f"records {known + 1} to {acknowledged} of boot {sender.boot} were acknowledged before, "
        "and this hub does not have them: was it restored from an older backup?"
    )
    _log.warning("records_lost", node=sender.node, detail=detail)
    event = sender.event(known + 1, sender.received_at, RECORDS_LOST, detail)
    connection.execute(insert(schema.event), [event])


def _log_refused(batch: _Batch) -> None:
    refused = batch.refused
    if refused:
        _log.warning(
            "records_refused",
            node=batch.sender.node,
            boot=batch.sender.boot,
            records=len(refused),
            sequence=refused[0].numbered.sequence,
            reason=refused[0].refused,
        )


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


def _watermark(connection: Connection, node: str, boot: str) -> int:
    receipts = schema.receipt.c
    known = connection.scalar(
        select(receipts.watermark).where(receipts.node == node, receipts.boot == boot)
    )
    return int(known) if known is not None else 0


def _receive(connection: Connection, batch: _Batch) -> None:
    receipts, sender = schema.receipt.c, batch.sender
    records, refused = len(batch.entries), len(batch.refused)
    moved = {"watermark": batch.watermark, "received_at": sender.received_at}
    done = connection.execute(
        update(schema.receipt)
        .where(receipts.node == sender.node, receipts.boot == sender.boot)
        .values(records=receipts.records + records, refused=receipts.refused + refused, **moved)
    )
    if done.rowcount == 0:
        connection.execute(
            insert(schema.receipt).values(
                node=sender.node, boot=sender.boot, records=records, refused=refused, **moved
            )
        )
