"""Uploads telemetry from the spool to the hub; each record takes effect there exactly once."""

import time

from gnomon.edge.telemetry.spool import Spool
from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.hub_channel import CALL_SECONDS, HubChannel
from gnomon.runtime.errors import HubError

#: Bytes of records in one call; a single record may be larger.
BATCH_BYTES = 512 << 10


class SpoolSink:
    """The spool as the runtime's sink."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def put(self, record: hub_pb2.Record) -> None:
        """Write a record to the spool; raise `StorageError` if that fails."""
        self._spool.put(record)


def upload_all(spool: Spool, channel: HubChannel, deadline: float = float("inf")) -> None:
    """Upload until the spool is empty, or until `deadline` on the monotonic clock.

    Raises:
        HubUnavailable: the hub cannot be reached; records without acknowledgement stay.
        HubError: it acknowledges nothing.
    """
    while (left := deadline - time.monotonic()) > 0:
        boot_id, records = spool.batch(BATCH_BYTES)
        if not records:
            return
        watermark = channel.upload(boot_id, records, min(CALL_SECONDS, left))
        if watermark < hub_pb2.Record.FromString(records[0]).sequence:
            raise HubError(
                f"the hub's watermark for boot {boot_id} stays at {watermark} after an upload"
            )
        spool.acknowledge(boot_id, watermark)
