"""Uploads telemetry from the spool to the hub; each record takes effect there exactly once.

A call that does not end in its time has no effect, and its bytes were sent in vain. So the size of
a batch begins small, doubles after each success, and is halved after a call that did not end in its
time; from then on it grows slowly. The time of a call follows its bytes.
"""

import time
from collections.abc import Callable

from gnomon.edge.telemetry.spool import Spool
from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.hub_channel import CALL_SECONDS, DeadlineExceeded, HubChannel
from gnomon.runtime.errors import HubError

#: Bytes of records in one call, at first, at most and at least; a single record may be larger.
FIRST_BATCH_BYTES = 32 << 10
MOST_BATCH_BYTES = 512 << 10
LEAST_BATCH_BYTES = 512
#: A call may take this long for each byte, besides `CALL_SECONDS`: 2 KiB a second.
SECONDS_A_BYTE = 1 / 2048
#: The longest that a call with a single record may take.
_LONGEST_SECONDS = 1_800.0


class SpoolSink:
    """The spool as the runtime's sink."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def put(self, record: hub_pb2.Record) -> None:
        """Write a record to the spool; raise `StorageError` if that fails."""
        self._spool.put(record)


class Uploader:
    """Uploads a spool in batches whose size follows the link; for one thread at a time."""

    def __init__(
        self,
        spool: Spool,
        clock: Callable[[], float] = time.monotonic,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        """Prepare uploads.

        Args:
            spool: holds the records.
            clock: seconds that only rise.
            on_lost: called if the hub has lost records, which then wait for the next upload: the
                hub may first have to be shown what was assigned to the node. None: they are sent
                again at once.
        """
        self._spool = spool
        self._on_lost = on_lost
        self._clock = clock
        self._batch_bytes = FIRST_BATCH_BYTES
        self._has_failed = False
        self._patience = 1.0

    def upload_all(self, channel: HubChannel, deadline: float = float("inf")) -> None:
        """Upload until the spool is empty, or until `deadline` on the clock.

        Raises:
            HubUnavailable: the hub cannot be reached; records without acknowledgement stay.
            HubError: it acknowledges nothing.
        """
        while (left := deadline - self._clock()) > 0:
            boot_id, records = self._spool.batch(self._batch_bytes)
            if not records:
                return
            watermark, is_lost = self._upload(channel, boot_id, records, left)
            if is_lost and self._spool.rewind(boot_id, watermark):
                if self._on_lost is None:
                    continue
                self._on_lost()
                return
            if watermark < hub_pb2.Record.FromString(records[0]).sequence:
                raise HubError(
                    f"the hub's watermark for boot {boot_id} stays at {watermark} after an upload"
                )
            self._spool.acknowledge(boot_id, watermark)

    def _upload(
        self, channel: HubChannel, boot_id: str, records: list[bytes], left: float
    ) -> tuple[int, bool]:
        """Return the hub's watermark, and whether the hub has lost records above it."""
        size = sum(map(len, records))
        seconds = min((CALL_SECONDS + size * SECONDS_A_BYTE) * self._patience, _LONGEST_SECONDS)
        try:
            request = hub_pb2.UploadRequest(
                boot=boot_id,
                records=records,
                acknowledged=self._spool.acknowledged(boot_id),
                kept_from=self._spool.first_kept(boot_id),
            )
            response = channel.upload(request, min(seconds, left))
        except DeadlineExceeded:
            if seconds <= left:  # otherwise the caller's time is over, which says nothing
                self._shrink(size, is_single=len(records) == 1)
            raise
        self._grow()
        return int(response.watermark), bool(response.send_again)

    def _shrink(self, size: int, *, is_single: bool) -> None:
        self._has_failed = True
        if is_single:
            self._patience *= 2
        self._batch_bytes = max(min(self._batch_bytes, size) // 2, LEAST_BATCH_BYTES)

    def _grow(self) -> None:
        self._patience = 1.0
        more = self._batch_bytes // 8 if self._has_failed else self._batch_bytes
        self._batch_bytes = min(self._batch_bytes + more, MOST_BATCH_BYTES)
