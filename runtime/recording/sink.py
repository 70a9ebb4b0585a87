"""The interface through which telemetry leaves the runtime: on a node, to the spool."""

from typing import Protocol

from gnomon.proto import hub_pb2


class TelemetrySink(Protocol):
    """Takes records; must be safe to call from several threads."""

    def put(self, record: hub_pb2.Record) -> None:
        """Keep a record for the hub.

        Its body and `recorded_at_unix_ms` are set; the sink assigns `sequence`. When this returns,
        the record is the sink's; when it raises, the runtime keeps it and offers it again.
        """


class MemorySink:
    """Keeps records in a list, for tests and for programs without a hub."""

    def __init__(self) -> None:
        self.records: list[hub_pb2.Record] = []

    def put(self, record: hub_pb2.Record) -> None:
        """Append the record."""
        self.records.append(record)


class NullSink:
    """Keeps no record, for measurements and for nodes whose telemetry has no reader."""

    def put(self, record: hub_pb2.Record) -> None:
        """Drop the record."""
