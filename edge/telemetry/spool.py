"""The node's durable queue of telemetry: flushed records stay until the hub acknowledges them.

Records are numbered from 1 within a **boot**, one opening of the spool. They are stored in
segments: files of checksummed frames (`gnomon.edge.telemetry.frames`), deleted once the hub's
watermark has passed them. A crash can only damage the end of a segment, which is truncated; damage
elsewhere is skipped and counted, and never blocks a start. When the disk budget is used up, samples
are dropped first, then windows of the same package, route and interval are merged; both are
counted.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gnomon.edge.telemetry.frames import Frame
from gnomon.edge.telemetry.segment import Segment, load_segments, next_boot_id, segment_path
from gnomon.edge.telemetry.thinning import WindowMerge, merge_windows, sample_count, without_samples
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import StorageError
from gnomon.runtime.files import sync_folder

_log = logging.getLogger(__name__)
#: If merging freed little, it is not tried again before this many puts.
_PUTS_BETWEEN_MERGES = 64
_SAMPLES = frozenset(("predictions", "refusal"))


@dataclass(frozen=True, slots=True)
class SpoolFigures:
    """The content of the spool, and what was lost since it was opened.

    Attributes:
        records: records that wait for the hub.
        bytes: their size on disk.
        merged: windows that were merged into others.
        dropped: samples that were dropped.
        damaged: places in the files that cannot be read.
    """

    records: int
    bytes: int
    merged: int
    dropped: int
    damaged: int


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
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the spool, truncate torn tails, and begin a new boot.

        Raises:
            StorageError: the folder cannot be read or written.
        """
        self._folder = folder
        self._budget_bytes = budget_bytes
        self._segment_bytes = min(segment_bytes, budget_bytes)
        self._merge = merge
        self._clock = clock
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._watermarks: dict[str, int] = {}
        self._active: int | None = None
        self._unsynced: list[int] = []
        self._dirty = False
        self._sequence = self._sent = 0
        self._merged = self._dropped = self._next_merge = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._segments, self._damaged = load_segments(folder)
            self.boot_id = next_boot_id(folder, self._segments)
        except OSError as error:
            raise StorageError(f"the spool {folder} cannot be opened: {error}") from error

    def put(self, record: hub_pb2.Record) -> int:
        """Append the record under the next sequence, which it returns and sets on the record.

        Raises:
            StorageError: the disk or the budget is full, and nothing more can be dropped or merged.
        """
        sample = record.WhichOneof("body") in _SAMPLES
        with self._lock:
            record.sequence = self._sequence + 1
            if not record.recorded_at_unix_ms:
                record.recorded_at_unix_ms = int(self._clock() * 1000)
            frame = Frame(record.sequence, sample, record.SerializeToString())
            self._sequence += 1
            if not self._make_room(frame.size):
                if sample:
                    self._dropped += sample_count(frame)
                    return frame.sequence
                raise StorageError(
                    f"the spool {self._folder} is full: {self._bytes()} of {self._budget_bytes} "
                    "bytes hold records that must not be dropped; raise spool_bytes or let the "
                    "node reach its hub"
                )
            self._append(frame)
            return frame.sequence

    def flush(self) -> None:
        """Return once all earlier records are on the disk.

        Raises:
            StorageError: the disk cannot be written.
        """
        with self._flushing:
            with self._lock:
                if not self._dirty:
                    return
                self._dirty = False
                waiting, self._unsynced = self._unsynced, []
                if self._active is not None:
                    waiting.append(os.dup(self._active))
            try:
                for descriptor in waiting:
                    os.fdatasync(descriptor)
                sync_folder(self._folder)
            except OSError as error:
                raise StorageError(f"cannot sync the spool {self._folder}: {error}") from error
            finally:
                for descriptor in waiting:
                    os.close(descriptor)

    def batch(self, limit_bytes: int, limit_records: int = 5_000) -> tuple[str, list[bytes]]:
        """Return the oldest boot that has unacknowledged records, and its first such records.

        Records are durable before they are returned: at least one, if there is any, then as many
        as the limits allow.
        """
        self.flush()
        with self._lock:
            boot_id = next((s.boot_id for s in self._segments if self._pending(s)), self.boot_id)
            records: list[bytes] = []
            room = limit_bytes
            for frame in self._unacknowledged(boot_id):
                if records and (frame.size > room or len(records) == limit_records):
                    break
                records.append(frame.payload)
                room -= frame.size
                if boot_id == self.boot_id:
                    self._sent = max(self._sent, frame.sequence)
            return boot_id, records

    def acknowledge(self, boot_id: str, watermark: int) -> None:
        """Delete the boot's records up to and including `watermark`."""
        with self._lock:
            self._watermarks[boot_id] = max(watermark, self._watermarks.get(boot_id, 0))
            for segment in [s for s in self._segments if s.boot_id == boot_id]:
                if not self._pending(segment):
                    self._forget(segment)

    def figures(self) -> SpoolFigures:
        """Return the number of waiting records, their bytes on disk, and what was lost."""
        with self._lock:
            records = sum(self._pending(segment) for segment in self._segments)
            return SpoolFigures(records, self._bytes(), self._merged, self._dropped, self._damaged)

    def close(self) -> None:
        """Flush and close the files."""
        self.flush()
        with self._lock:
            self._rotate()
            for descriptor in self._unsynced:
                os.close(descriptor)
            self._unsynced = []

    def _append(self, frame: Frame) -> None:
        segment = self._active_segment(frame)
        descriptor = self._active
        data = frame.encode()
        try:
            if descriptor is None or os.write(descriptor, data) != len(data):
                raise OSError("the write was incomplete")
        except OSError as error:
            if descriptor is not None:
                os.ftruncate(descriptor, segment.size)
            raise StorageError(f"cannot write to the spool {self._folder}: {error}") from error
        segment.add(frame)
        self._dirty = True

    def _active_segment(self, frame: Frame) -> Segment:
        if self._active is not None:
            if self._segments[-1].size + frame.size <= self._segment_bytes:
                return self._segments[-1]
            self._rotate()
        path = segment_path(self._folder, self.boot_id, frame.sequence)
        try:
            self._active = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise StorageError(f"cannot create segment {path} of the spool: {error}") from error
        self._segments.append(Segment(path, self.boot_id))
        return self._segments[-1]

    def _rotate(self) -> None:
        if self._active is not None:
            self._unsynced.append(self._active)
            self._active = None

    def _forget(self, segment: Segment) -> None:
        if segment is self._segments[-1] and self._active is not None:
            os.close(self._active)
            self._active = None
        segment.path.unlink(missing_ok=True)
        self._segments.remove(segment)

    def _bytes(self) -> int:
        return sum(segment.size for segment in self._segments)

    def _pending(self, segment: Segment) -> int:
        return segment.pending(self._watermarks.get(segment.boot_id, 0))

    def _unacknowledged(self, boot_id: str) -> Iterator[Frame]:
        watermark = self._watermarks.get(boot_id, 0)
        for segment in self._segments:
            if segment.boot_id == boot_id and self._pending(segment):
                yield from (f for f in segment.read() if f.sequence > watermark)

    def _make_room(self, needed: int) -> bool:
        """Drop samples, then merge windows, until the limit holds or nothing is left to drop."""
        try:
            for segment in list(self._segments):
                if self._bytes() + needed <= self._budget_bytes:
                    return True
                self._drop_samples(segment)
            if self._bytes() + needed > self._budget_bytes:
                self._merge_windows()
        except OSError as error:
            raise StorageError(f"cannot free space in the spool {self._folder}: {error}") from error
        return self._bytes() + needed <= self._budget_bytes

    def _drop_samples(self, segment: Segment) -> None:
        if segment.samples:
            frames = segment.read()
            watermark = self._watermarks.get(segment.boot_id, 0)
            self._dropped += sum(
                sample_count(f) for f in frames if f.sample and f.sequence > watermark
            )
            self._rewrite(segment, without_samples(frames))

    def _merge_windows(self) -> None:
        """Merge windows within this boot's segments, and segments that become small."""
        if self._merge is None or self._sequence < self._next_merge:
            return
        before = self._bytes()
        kept: Segment | None = None
        for segment in [s for s in self._segments if s.boot_id == self.boot_id]:
            frames = kept.read() + segment.read() if kept else segment.read()
            # Records that may have been sent keep their sequence: merged, they would count twice.
            sent = [frame for frame in frames if frame.sequence <= self._sent]
            unsent = [frame for frame in frames if frame.sequence > self._sent]
            thinned = sent + merge_windows(unsent, self._merge)
            if kept and sum(frame.size for frame in thinned) > self._segment_bytes:
                kept = segment
                continue
            self._merged += len(frames) - len(thinned)
            # A crash in between leaves records twice: loading skips the second.
            self._rewrite(kept or segment, thinned)
            if kept:
                self._rewrite(segment, [])
            kept = kept or segment
        if before - self._bytes() < self._budget_bytes // 8:
            self._next_merge = self._sequence + _PUTS_BETWEEN_MERGES

    def _rewrite(self, segment: Segment, frames: list[Frame]) -> None:
        if segment is self._segments[-1]:
            self._rotate()
        if frames:
            segment.replace(frames)
        else:
            segment.path.unlink(missing_ok=True)
            self._segments.remove(segment)
