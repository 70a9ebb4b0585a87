"""Telemetry: records become rows, each exactly once, in the transaction that moves the watermark.

A record that the hub cannot read becomes an event and is counted; it never blocks the queue behind
it.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, update

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import GnomonError, InvalidInput
from gnomon.server.hub.fleet import counts, environments
from gnomon.server.hub.fleet.numbering import (
    MAXIMUM_INTEGER,
    Numbered,
    number,
    number_damaged,
)
from gnomon.server.hub.monitoring import labels, windows
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions.catalogue import Catalogue

MAXIMUM_RECORDS = 10_000
MAXIMUM_WINDOW_BYTES = 1024 * 1024

#: The kind of event that stands for a record which the hub could not read.
REFUSED_RECORD = "refused_record"

#: What reading crafted bytes may end in; an error of the database is none of them.
_UNREADABLE = (GnomonError, ValueError, TypeError, LookupError, ArithmeticError)

_NAME = 64
_TEXT = 128
_LONG_TEXT = 4_096

#: Characters of a digest, with which a refused record's event ends.
_DIGEST = 64


@dataclass
class _Batch:
    """Rows by table, of one upload."""

    node: str
    boot: str
    received_at: int
    environment: str
    records: int = 0
    refused: int = 0
    watermark: int = 0
    windows: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    label_rows: list[labels.LabelRow] = field(default_factory=list)
    predictions: dict[tuple[str, str], list[labels.PredictionRow]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add_event(self, sequence: int, at: int, kind: str, detail: str) -> None:
        self.events.append(
            {
                "node": self.node,
                "boot": self.boot,
                "sequence": sequence,
                "at": at,
                "kind": kind[:_NAME],
                "detail": detail[:_LONG_TEXT],
                "received_at": self.received_at,
            }
        )


class Telemetry:
    """Takes uploads."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        self._database = database
        self._catalogue = catalogue

    def upload(self, node: str, boot: str, records: Sequence[bytes]) -> int:
        """Store what is new and return the watermark: all up to it is durable here.

        Raises:
            InvalidInput: where the boot has no name, the records are too many or out of order.
        """
        if not 0 < len(boot) <= _NAME:
            raise InvalidInput(f"boot should have 1 to {_NAME} characters, has {len(boot)}")
        if len(records) > MAXIMUM_RECORDS:
            raise InvalidInput(f"{len(records)} records in one call; at most {MAXIMUM_RECORDS}")
        while True:
            watermark, batch = self._prepare(node, boot, records)
            if batch is None:
                return watermark
            # Reading windows takes its time, so it is done before the writers' turn is taken.
            with self._database.write() as connection:
                if _watermark(connection, node, boot) == watermark:
                    _store(connection, batch)
                    _receive(connection, batch)
                    return batch.watermark

    def _prepare(self, node: str, boot: str, records: Sequence[bytes]) -> tuple[int, _Batch | None]:
        """Return the watermark as it is, and what is new above it, if anything is."""
        with self._database.read() as connection:
            watermark = _watermark(connection, node, boot)
            batch = _Batch(node, boot, now_ms(), environments.of_node(connection, node))
            numbered = _number(connection, batch, records, watermark)
            new = [one for one in numbered if one.sequence > watermark]
            if not new:
                return watermark, None
            batch.refused = self._sort(connection, batch, new)
            batch.records, batch.watermark = len(new), new[-1].sequence
            return watermark, batch

    def _sort(self, connection: Connection, batch: _Batch, new: Iterable[Numbered]) -> int:
        """Put records into the batch; return how many were refused."""
        refused = 0
        for one in new:
            try:
                self._sort_one(connection, batch, one)
            except _UNREADABLE as error:
                refused += 1
                reason = str(error)[:_TEXT]
                detail = f"{reason}; {len(one.data)} bytes, SHA-256 {one.digest}"
                batch.add_event(one.sequence, batch.received_at, REFUSED_RECORD, detail)
        return refused

    def _sort_one(self, connection: Connection, batch: _Batch, one: Numbered) -> None:
        record = one.record
        if record is None:
            raise InvalidInput("the record is damaged: it is not a Record message")
        kind = record.WhichOneof("body")
        if kind == "window":
            batch.windows.append(self._window(connection, batch, one.sequence, record.window))
        elif kind == "predictions":
            self._predictions(connection, batch, record.predictions)
        elif kind == "refusal":
            batch.refusals.append(self._refusal(connection, batch, record.refusal))
        elif kind == "label":
            batch.label_rows.append(_label(record.label))
        elif kind == "event":
            event = record.event
            at = record.recorded_at_unix_ms
            batch.add_event(one.sequence, at, event.kind, event.detail)
        else:
            raise InvalidInput("the record holds nothing that this hub knows")

    def _window(
        self, connection: Connection, batch: _Batch, sequence: int, window: hub_pb2.Window
    ) -> dict[str, Any]:
        if len(window.window) > MAXIMUM_WINDOW_BYTES:
            raise InvalidInput(f"a window of {len(window.window)} bytes is too large")
        if window.rows > MAXIMUM_INTEGER or window.ended_at_unix_ms < window.started_at_unix_ms:
            raise InvalidInput("a window ends before it starts, or counts beyond all numbers")
        # What runs a package that the registry does not have is still counted.
        known = self._catalogue.find(connection, window.digest)
        return {
            "node": batch.node,
            "boot": batch.boot,
            "sequence": sequence,
            "digest": _short(window.digest, _NAME, "digest"),
            "model": known.model if known else _short(window.route, _NAME, "route"),
            "version": known.version if known else "",
            "route": _short(window.route, _NAME, "route"),
            "environment": batch.environment,
            "shadow": window.shadow,
            "started_at": window.started_at_unix_ms,
            "ended_at": window.ended_at_unix_ms,
            "rows": window.rows,
            **windows.service_counts(connection, window.digest, window.window),
            "data": window.window,
            "received_at": batch.received_at,
        }

    def _predictions(
        self, connection: Connection, batch: _Batch, sampled: hub_pb2.Predictions
    ) -> None:
        lengths = {len(sampled.request_ids), len(sampled.at_unix_ms), len(sampled.values)}
        if len(lengths) != 1:
            raise InvalidInput("predictions should have as many ids as times and values")
        known = self._catalogue.find(connection, sampled.digest)
        if known is None:
            raise InvalidInput(f"predictions of {sampled.digest[:_NAME]!r}, which is no package")
        rows = [
            labels.PredictionRow(_short(request_id, _TEXT, "request id"), at, value)
            for request_id, at, value in zip(
                sampled.request_ids, sampled.at_unix_ms, sampled.values, strict=True
            )
        ]
        batch.predictions[known.model, sampled.digest].extend(rows)

    def _refusal(
        self, connection: Connection, batch: _Batch, refusal: hub_pb2.Refusal
    ) -> dict[str, Any]:
        known = self._catalogue.find(connection, refusal.digest)
        return {
            "node": batch.node,
            "digest": _short(refusal.digest, _NAME, "digest"),
            "model": known.model if known else "",
            "request_id": _short(refusal.request_id, _TEXT, "request id"),
            "at": refusal.at_unix_ms,
            "field": refusal.field[:_TEXT],
            "rule": refusal.rule[:_TEXT],
            "value": refusal.value[:_LONG_TEXT],
            "expected": refusal.expected[:_LONG_TEXT],
        }


def _label(label: hub_pb2.Label) -> labels.LabelRow:
    if not math.isfinite(label.value):
        raise InvalidInput(f"a label should be a finite number, not {label.value}")
    model = _short(label.model, _NAME, "model")
    request_id = _short(label.request_id, _TEXT, "request id")
    return labels.LabelRow(model, request_id, label.at_unix_ms, label.value)


def _short(text: str, limit: int, what: str) -> str:
    if len(text) > limit:
        raise InvalidInput(f"a {what} has {len(text)} characters; at most {limit} are allowed")
    return text


def _number(
    connection: Connection, batch: _Batch, records: Sequence[bytes], watermark: int
) -> list[Numbered]:
    numbered = number(records)
    if numbered is not None or not records:
        return numbered or []
    events = schema.event.c
    refused = connection.scalars(
        select(events.detail).where(
            events.node == batch.node, events.boot == batch.boot, events.kind == REFUSED_RECORD
        )
    )
    return number_damaged(records, watermark, {detail[-_DIGEST:] for detail in refused})


def _store(connection: Connection, batch: _Batch) -> None:
    tables = (
        (schema.window, batch.windows),
        (schema.refusal, batch.refusals),
        (schema.event, batch.events),
    )
    for table, rows in tables:
        if rows:
            connection.execute(insert(table), rows)
    counts.add(connection, batch.windows)
    for (model, digest), sampled in batch.predictions.items():
        labels.record_predictions(connection, batch.node, model, digest, sampled, batch.environment)
    if batch.label_rows:
        labels.ingest(connection, batch.label_rows)


def _watermark(connection: Connection, node: str, boot: str) -> int:
    receipts = schema.receipt.c
    known = connection.scalar(
        select(receipts.watermark).where(receipts.node == node, receipts.boot == boot)
    )
    return int(known) if known is not None else 0


def _receive(connection: Connection, batch: _Batch) -> None:
    receipts = schema.receipt.c
    done = connection.execute(
        update(schema.receipt)
        .where(receipts.node == batch.node, receipts.boot == batch.boot)
        .values(
            watermark=batch.watermark,
            records=receipts.records + batch.records,
            refused=receipts.refused + batch.refused,
            received_at=batch.received_at,
        )
    )
    if done.rowcount == 0:
        connection.execute(
            insert(schema.receipt).values(
                node=batch.node,
                boot=batch.boot,
                watermark=batch.watermark,
                records=batch.records,
                refused=batch.refused,
                received_at=batch.received_at,
            )
        )
