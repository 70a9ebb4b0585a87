"""The node's durable queue of telemetry: flushed records stay until the hub acknowledges them.

Records are numbered from 1 within a **boot**, one opening of the spool. They are stored in
segments: files of checksummed frames (`gnomon.edge.telemetry.frames`), deleted once the hub's
watermark has passed them. A crash can only damage the end of a segment, which is truncated; damage
elsewhere is skipped and counted, and never blocks a start. A segment that cannot be read is given
up, and its records are counted as lost.

When the disk budget is used up, samples are dropped first, then windows of the same package, route
and interval are merged, also those of former boots, and as a last resort windows of several
intervals; all are counted. Samples, labels and events leave a quarter of the budget to windows.

Acknowledged segments are kept for some hours as long as the budget has room, since a hub that was
restored from a backup loses what it acknowledged; `rewind` lets them wait again.

While the disk cannot be written, new records are kept in memory, under a boot of their own, and can
be uploaded from there; `flush` writes them as soon as the disk can be written again.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from gnomon.edge.telemetry.compaction import merge_segments
from gnomon.edge.telemetry.figures import SpoolFigures
from gnomon.edge.telemetry.frames import OVERHEAD, Frame
from gnomon.edge.telemetry.resending import acknowledged_here, first_record, rewind
from gnomon.edge.telemetry.segment import Segment
from gnomon.edge.telemetry.segment_list import SegmentList
from gnomon.edge.telemetry.thinning import WindowMerge, sample_count, without_samples
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import StorageError
from gnomon.runtime.files import sync_folder

_log = logging.getLogger(__name__)

#: If merging freed little, it is not tried again before this many puts.
_PUTS_BETWEEN_MERGES = 64
#: Part of the budget that only windows may use.
_WINDOWS_RESERVE = 4
#: Bytes of records that are kept in memory while the disk cannot be written.
_MEMORY_BYTES = 8 << 20
#: Windows are merged within these spans, one after the other: interval, UTC day, everything.
_SPANS_MS = (0, 86_400_000, 1 << 62)
#: A new sequence may take this many bytes more.
_SEQUENCE_BYTES = 10
_SAMPLES = frozenset(("predictions", "refusal"))


class Spool:
    """Stores records, returns them in batches, deletes what the hub acknowledged.

    `put` writes without waiting for the disk; `flush` syncs all earlier puts. All
    methods may be called from any thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        budget_bytes: int = 64 << 20,
        segment_bytes: int = 1 << 20,
        merge: WindowMerge | None = None,
        kept_seconds: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the spool, truncate torn tails, and begin a new boot.

        Args:
            folder: of the segments; if it cannot be written, records stay in memory.
            budget_bytes: size of all records together.
            segment_bytes: size of a segment.
            merge: merges the bytes of two windows of a package.
            kept_seconds: how long acknowledged records are kept, if the budget has room.
            clock: epoch seconds.
        """
        self._folder = folder
        self._budget_bytes = budget_bytes
        self._merge = merge
        self._clock = clock
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._dirty = False
        self._merged = self._dropped = self._puts = self._next_merge = 0
        self._list = SegmentList(folder, min(segment_bytes, budget_bytes), kept_seconds)

    @property
    def boot_id(self) -> str:
        """The boot under which records are stored now."""
        return self._list.boot_id

    def put(self, record: hub_pb2.Record) -> int:
        """Append the record under the next sequence, which it returns and sets on the record.

        Raises:
            StorageError: the budget is full, and nothing more can be dropped or merged.
        """
        kind = record.WhichOneof("body")
        with self._lock:
            self._puts += 1
            if not record.recorded_at_unix_ms:
                record.recorded_at_unix_ms = int(self._clock() * 1000)
            needed = OVERHEAD + record.ByteSize() + _SEQUENCE_BYTES
            self._trim_kept(needed)
            if self._make_room(needed, is_window=kind == "window"):
                self._list.append(record, is_sample=kind in _SAMPLES)
                self._dirty = True
            elif kind in _SAMPLES:
                self._dropped += sample_count(Frame(0, True, record.SerializeToString()))
            else:
                raise StorageError(self._describe_full())
            return self._list.sequence

    def flush(self) -> None:
        """Return once all earlier records are on the disk.

        Raises:
            StorageError: the disk cannot be written; the records stay in memory.
        """
        with self._flushing:
            try:
                with self._lock:
                    self._list.persist()
                    if not self._dirty:
                        return
                    waiting = self._list.take_unsynced()
                    self._dirty = False
                _sync(waiting, self._folder)
            except OSError as error:
                with self._lock:
                    self._list.degrade(error)
                raise StorageError(f"cannot write the spool {self._folder}: {error}") from error

    def batch(self, limit_bytes: int, limit_records: int = 5_000) -> tuple[str, list[bytes]]:
        """Return the oldest boot that has records to send, and its first such records.

        Records are written to the disk before they are returned, if it can be written: at least
        one, if there is any, then as many as the limits allow.
        """
        with contextlib.suppress(StorageError):
            self.flush()
        with self._lock:
            waiting = [s.boot_id for s in self._list.segments if self._list.pending(s)]
            for boot_id in dict.fromkeys(waiting):
                frames = self._first_frames(boot_id, limit_bytes, limit_records)
                if frames and (frames := self._list.hand_out(boot_id, frames)):
                    return boot_id, [frame.payload for frame in frames]
            return self.boot_id, []

    def acknowledge(self, boot_id: str, watermark: int) -> None:
        """Delete the boot's records up to and including `watermark`, or keep them for a while."""
        with self._lock:
            self._list.acknowledge(boot_id, watermark, self._clock())
            self._trim_kept(0)

    def rewind(self, boot_id: str, watermark: int) -> int:
        """Let kept records above a watermark wait again, since the hub has lost them.

        Returns how many there are. What is not kept any more stays lost.
        """
        with self._lock:
            count = rewind(self._list, boot_id, watermark)
        if count:
            detail = f"{count} records of boot {boot_id} after {watermark}, which the hub has lost"
            _log.warning("sent again: %s", detail)
            with contextlib.suppress(StorageError):
                self.put(hub_pb2.Record(event=hub_pb2.Event(kind="sent_again", detail=detail)))
        return count

    def first_kept(self, boot_id: str) -> int:
        """Return the sequence from which on all records of a boot are here; 0: none is."""
        with self._lock:
            return first_record(self._list, boot_id)

    def watermarks(self) -> dict[str, int]:
        """Return the watermark of each boot of which acknowledged records are still here."""
        with self._lock:
            return acknowledged_here(self._list)

    def acknowledged(self, boot_id: str) -> int:
        """Return the highest watermark of a boot that this process has seen; 0: none."""
        with self._lock:
            return self._list.watermark(boot_id)

    def figures(self) -> SpoolFigures:
        """Return the number of waiting records, their bytes, and what was lost."""
        with self._lock:
            segments = self._list
            return SpoolFigures(
                records=sum(segments.pending(one) for one in segments.segments),
                bytes=segments.size,
                merged=self._merged,
                dropped=self._dropped,
                damaged=segments.damaged,
                lost=segments.lost,
                in_memory=sum(segments.pending(one) for one in segments.in_memory()),
                disk_error=segments.disk_error,
            )

    def close(self) -> None:
        """Flush and close the files.

        Raises:
            StorageError: records that are in memory only are lost with the process.
        """
        try:
            self.flush()
        finally:
            with self._lock:
                self._list.close()

    def _first_frames(self, boot_id: str, limit_bytes: int, limit_records: int) -> list[Frame]:
        frames: list[Frame] = []
        for frame in islice(self._list.unacknowledged(boot_id), limit_records):
            if frames and frame.size > limit_bytes:
                break
            frames.append(frame)
            limit_bytes -= frame.size
        return frames

    def _trim_kept(self, needed: int) -> None:
        """Remove acknowledged records that the budget has no room for, or that are out of date."""
        free = self._budget_bytes - self._list.size - needed
        self._list.kept.trim(max(free, 0), self._clock())

    def _describe_full(self) -> str:
        if self._list.disk_error:
            return (
                f"the spool {self._folder} cannot be written ({self._list.disk_error}), and "
                f"{self._list.memory_size} bytes of records are in memory already"
            )
        return (
            f"the spool {self._folder} is full: {self._list.size} of {self._budget_bytes} bytes "
            "hold records that must not be dropped; raise spool_bytes or let the node reach its hub"
        )

    def _has_room(self, needed: int, is_window: bool) -> bool:
        limit = self._budget_bytes - (0 if is_window else self._budget_bytes // _WINDOWS_RESERVE)
        if self._list.disk_error and self._list.memory_size + needed > _MEMORY_BYTES:
            return False
        return self._list.size + needed <= limit

    def _make_room(self, needed: int, *, is_window: bool) -> bool:
        """Drop samples, then merge windows, until the limit holds or nothing is left to drop."""
        try:
            for segment in list(self._list.segments):
                if self._has_room(needed, is_window):
                    return True
                self._drop_samples(segment)
            if self._puts >= self._next_merge and not self._has_room(needed, is_window):
                self._merge_windows(needed, is_window)
        except OSError as error:
            self._list.degrade(error)
        return self._has_room(needed, is_window)

    def _drop_samples(self, segment: Segment) -> None:
        is_fixed = bool(self._list.disk_error) and segment.frames is None
        if segment.samples and not is_fixed:
            frames = self._list.read(segment)
            watermark = self._list.watermark(segment.boot_id)
            self._dropped += sum(
                sample_count(f) for f in frames if f.sample and f.sequence > watermark
            )
            if frames:
                self._list.rewrite(segment, without_samples(frames))

    def _merge_windows(self, needed: int, is_window: bool) -> None:
        if self._merge is None:
            return
        before = self._list.size
        for span_ms in _SPANS_MS if is_window else _SPANS_MS[:1]:
            if self._has_room(needed, is_window):
                break
            enough = before - self._budget_bytes // 8 if span_ms else 0
            self._merged += merge_segments(self._list, self._merge, span_ms, enough)
        if before - self._list.size < self._budget_bytes // 8:
            self._next_merge = self._puts + _PUTS_BETWEEN_MERGES


def _sync(descriptors: list[int], folder: Path) -> None:
    """Sync and close files, then sync their names."""
    try:
        for descriptor in descriptors:
            os.fdatasync(descriptor)
        sync_folder(folder)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
