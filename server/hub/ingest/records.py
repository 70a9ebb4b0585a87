"""Conversion of telemetry records to rows, with bounds on every number."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.limits import STORED_ID_CHARACTERS
from gnomon.server.hub.ingest.numbering import NumberedRecord
from gnomon.server.hub.monitoring import labels, windows
from gnomon.server.hub.monitoring.predictions import PredictionRow
from gnomon.server.hub.store.limits import MAXIMUM_ROWS, is_time
from gnomon.server.hub.versions.catalogue import Catalogue, KnownVersion

MAXIMUM_WINDOW_BYTES = 1024 * 1024

#: The kind of event that stands for a record which the hub could not read or store.
REFUSED_RECORD = "refused_record"

_NAME = 64
_TEXT = STORED_ID_CHARACTERS
_LONG_TEXT = 4_096


@dataclass
class Rows:
    """Rows by table, of one record or of several."""

    windows: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    label_rows: list[labels.LabelRow] = field(default_factory=list)
    predictions: dict[tuple[str, str], list[PredictionRow]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, other: "Rows") -> None:
        """Append the rows of another."""
        self.windows += other.windows
        self.refusals += other.refusals
        self.events += other.events
        self.label_rows += other.label_rows
        for package, rows in other.predictions.items():
            self.predictions[package] += rows


@dataclass(frozen=True)
class Sender:
    """Who sends records, and when and where they arrived."""

    node: str
    boot: str
    received_at: int
    environment: str
    assigned: frozenset[str] = frozenset()  # digests of the packages that the node should run

    def refuse(self, one: NumberedRecord, reason: object) -> Rows:
        """Return the event that stands for a record which was refused."""
        detail = f"{str(reason)[:_TEXT]}; {len(one.data)} bytes, SHA-256 {one.digest}"
        return Rows(events=[self.event(one.sequence, self.received_at, REFUSED_RECORD, detail)])

    def event(self, sequence: int, at: int, kind: str, detail: str) -> dict[str, Any]:
        """Return a row of the table `event`.

        Args:
            sequence: of the record, in its spool's numbering.
            at: epoch milliseconds, by the clock of the node or hub that saw it.
            kind: which event, such as `installed`.
            detail: a text for people.
        """
        return {
            "node": self.node,
            "boot": self.boot,
            "sequence": sequence,
            "at": at,
            "kind": kind[:_NAME],
            "detail": detail[:_LONG_TEXT],
            "received_at": self.received_at,
        }


class RecordReader:
    """Reads the records of one upload in one state of the database."""

    def __init__(self, connection: Connection, catalogue: Catalogue, sender: Sender) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._sender = sender
        self._models: set[str] = set()  # that the registry has

    def read(self, one: NumberedRecord) -> Rows:
        """Return a record's rows.

        Raises:
            InvalidInput: if the record is damaged, of a kind unknown here, or out of bounds.
        """
        record = one.record
        if record is None:
            raise InvalidInput("the record is damaged: it is not a Record message")
        kind = record.WhichOneof("body")
        if kind == "window":
            return Rows(windows=[self._window(one.sequence, record.window)])
        if kind == "predictions":
            return Rows(predictions=self._predictions(record.predictions))
        if kind == "refusal":
            return Rows(refusals=[self._refusal(record.refusal)])
        if kind == "label":
            return Rows(label_rows=[self._label(record.label)])
        if kind == "event":
            at = _time(record.recorded_at_unix_ms, "the event's time")
            event = record.event
            return Rows(events=[self._sender.event(one.sequence, at, event.kind, event.detail)])
        raise InvalidInput("unknown record type")

    def _package(self, digest: str) -> KnownVersion | None:
        """Return a package of the registry that was assigned to the node."""
        if digest not in self._sender.assigned:
            return None
        return self._catalogue.find(self._connection, digest)

    def _check_model(self, name: str) -> None:
        if name not in self._models:
            labels.check_model(self._connection, name)
            self._models.add(name)

    def _label(self, label: hub_pb2.Label) -> labels.LabelRow:
        row = labels.LabelRow(
            _short(label.model, _NAME, "model"),
            _short(label.request_id, _TEXT, "request id"),
            label.at_unix_ms,
            label.value,
        )
        labels.check([row])
        self._check_model(row.model)
        return row

    def _window(self, sequence: int, window: hub_pb2.Window) -> dict[str, Any]:
        if len(window.window) > MAXIMUM_WINDOW_BYTES:
            raise InvalidInput(f"a window of {len(window.window)} bytes is too large")
        if window.rows > MAXIMUM_ROWS:
            raise InvalidInput(
                f"a window of {window.rows} rows; at most {MAXIMUM_ROWS} are allowed"
            )
        started_at = _time(window.started_at_unix_ms, "the window's start")
        ended_at = _time(window.ended_at_unix_ms, "the window's end")
        if ended_at < started_at:
            raise InvalidInput("a window ends before it starts")
        counts = windows.service_counts(self._connection, window.digest, window.window)
        read = sum(counts["outcomes"].values())
        if counts["outcomes"] and read != window.rows:
            raise InvalidInput(f"a window says {window.rows} rows and counts {read}")
        package = None if counts is windows.UNREAD else self._package(window.digest)
        if package is None:
            # Still counted, as unread: a restored hub may have forgotten the package, and a newer
            # Gnomon may refuse it. One that this hub assigned may be of a model that it forgot.
            if window.digest not in self._sender.assigned:
                self._check_model(window.route)
            counts = windows.UNREAD
        return {
            "node": self._sender.node,
            "boot": self._sender.boot,
            "sequence": sequence,
            "digest": _short(window.digest, _NAME, "digest"),
            "model": package.model if package else _short(window.route, _NAME, "route"),
            "version": package.version if package else "",
            "route": _short(window.route, _NAME, "route"),
            "environment": self._sender.environment,
            "shadow": window.shadow,
            "started_at": started_at,
            "ended_at": ended_at,
            "rows": window.rows,
            **counts,
            "data": window.window,
            "received_at": self._sender.received_at,
        }

    def _predictions(
        self, sampled: hub_pb2.Predictions
    ) -> dict[tuple[str, str], list[PredictionRow]]:
        lengths = {len(sampled.request_ids), len(sampled.at_unix_ms), len(sampled.values)}
        if len(lengths) != 1:
            raise InvalidInput("predictions should have as many ids as times and values")
        known = self._package(sampled.digest)
        if known is None:
            raise InvalidInput(
                f"package {sampled.digest[:_NAME]} is not assigned to the node, or not registered"
            )
        rows = [
            PredictionRow(
                _short(request_id, _TEXT, "request id"), _time(at, "a prediction's time"), value
            )
            for request_id, at, value in zip(
                sampled.request_ids, sampled.at_unix_ms, sampled.values, strict=True
            )
        ]
        return {(known.model, sampled.digest): rows}

    def _refusal(self, refusal: hub_pb2.Refusal) -> dict[str, Any]:
        known = self._package(refusal.digest)
        return {
            "node": self._sender.node,
            "digest": _short(refusal.digest, _NAME, "digest"),
            "model": known.model if known else "",
            "request_id": _short(refusal.request_id, _TEXT, "request id"),
            "at": _time(refusal.at_unix_ms, "the refusal's time"),
            "received_at": self._sender.received_at,
            "field": refusal.field[:_TEXT],
            "rule": refusal.rule[:_TEXT],
            "value": refusal.value[:_LONG_TEXT],
            "expected": refusal.expected[:_LONG_TEXT],
        }


def _time(at: int, what: str) -> int:
    if not is_time(at):
        raise InvalidInput(f"{what} is {at}, which is out of range")
    return at


def _short(text: str, limit: int, what: str) -> str:
    if len(text) > limit:
        raise InvalidInput(f"a {what} has {len(text)} characters; at most {limit} are allowed")
    return text
