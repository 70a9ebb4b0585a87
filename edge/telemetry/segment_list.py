"""All segments of a spool, on the disk or in memory; not thread-safe: the spool holds its lock."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from gnomon.edge.telemetry.acknowledged import AcknowledgedSegments
from gnomon.edge.telemetry.boots import SentMarks, next_boot_id
from gnomon.edge.telemetry.frames import Frame
from gnomon.edge.telemetry.replacement import complete_replacement, replace_files
from gnomon.edge.telemetry.segment import Segment, load_segments, segment_path
from gnomon.edge.telemetry.thinning import renumber
from gnomon.proto import hub_pb2

_log = logging.getLogger(__name__)


class SegmentList:
    """Appends frames to segments, reads, rewrites and removes them.

    After a write that failed, records go to memory until `persist` succeeds.
    """

    def __init__(self, folder: Path, segment_bytes: int, kept_seconds: float = 0.0) -> None:
        """Load the segments of a folder, and begin a new boot.

        Args:
            folder: of the segments.
            segment_bytes: size of a segment.
            kept_seconds: how long segments are kept that the hub has acknowledged.
        """
        self.folder = folder
        self.segment_bytes = segment_bytes
        self.segments: list[Segment] = []
        self.damaged = self.lost = 0
        self.disk_error = ""
        self.kept = AcknowledgedSegments(folder / "acknowledged", kept_seconds)
        self._watermarks = self.kept.boots()
        self._active: int | None = None
        self._unsynced: list[int] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            complete_replacement(folder)
        except OSError as error:
            self.degrade(error)
        try:
            self.segments, self.damaged = load_segments(folder)
        except OSError as error:
            self.degrade(error)
        self.marks = SentMarks(folder, self.segments)
        self._begin_boot()
        try:
            self.marks.write({one.boot_id for one in self.segments} | {self.boot_id})
        except OSError as error:
            self.degrade(error)

    def degrade(self, error: OSError) -> None:
        """Keep new records in memory: the disk cannot be written."""
        if not self.disk_error:
            _log.error(
                "the spool %s cannot be written, records stay in memory: %s", self.folder, error
            )
        self.disk_error = str(error)
        self.kept.trim(0, 0.0)  # what waits is worth the space more than what is kept

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self.segments)

    @property
    def memory_size(self) -> int:
        """Bytes of the segments that are in memory only."""
        return sum(segment.size for segment in self.in_memory())

    def in_memory(self) -> list[Segment]:
        """Return the segments that are in memory only."""
        return [segment for segment in self.segments if segment.frames is not None]

    def pending(self, segment: Segment) -> int:
        """Return the number of a segment's unacknowledged records."""
        return segment.pending(self.watermark(segment.boot_id))

    def watermark(self, boot_id: str) -> int:
        """Return the sequence up to which the hub has a boot's records."""
        return self._watermarks.get(boot_id, 0)

    def acknowledge(self, boot_id: str, watermark: int, now: float = 0.0) -> None:
        """Keep, from `now` on, or remove the segments whose records the hub has."""
        self._watermarks[boot_id] = max(watermark, self.watermark(boot_id))
        for segment in [s for s in self.segments if s.boot_id == boot_id]:
            if not self.pending(segment):
                self._leave(segment)
                self.segments.remove(segment)
                self.kept.keep(segment, now)

    def set_watermark(self, boot_id: str, watermark: int) -> None:
        """Say up to which record the hub has a boot's records: fewer than it had said."""
        self._watermarks[boot_id] = watermark

    def append(self, record: hub_pb2.Record, *, is_sample: bool) -> None:
        """Number a record and append it, to memory if the disk cannot be written."""
        if not self.disk_error:
            frame = self._next_frame(record, is_sample)
            try:
                self._append_to_file(frame)
                return
            except OSError as error:
                self.degrade(error)
                if any(segment.boot_id == self.boot_id for segment in self.segments):
                    # What is on the disk may have to wait there for its mark; memory need not.
                    self._begin_boot()
        frame = self._next_frame(record, is_sample)
        self._memory_segment(frame).add(frame)

    def rotate(self) -> None:
        """Append no more to the newest segment."""
        if self._active is not None:
            self._unsynced.append(self._active)
            self._active = None

    def take_unsynced(self) -> list[int]:
        """Return descriptors of all files that were written since; the caller closes them."""
        taken, self._unsynced = self._unsynced, []
        if self._active is not None:
            taken.append(os.dup(self._active))
        return taken

    def read(self, segment: Segment) -> list[Frame]:
        """Return a segment's frames; what cannot be read is given up and counted."""
        try:
            frames = segment.read()
        except OSError as error:
            self._give_up(segment, str(error), self.pending(segment))
            return []
        if len(frames) < len(segment.sequences):
            watermark = self.watermark(segment.boot_id)
            found = sum(frame.sequence > watermark for frame in frames)
            lost, size = self.pending(segment) - found, segment.size
            if not frames:
                self._give_up(segment, "it holds no frame", lost)
                return []
            _log.error("%d records of segment %s of the spool are damaged", lost, segment.path)
            self.lost += lost
            segment.set_frames(frames)
            segment.size = size
        return frames

    def remove(self, segment: Segment) -> None:
        """Remove a segment; a file that cannot be removed is sent again after a restart."""
        self._leave(segment)
        if segment.frames is None:
            with contextlib.suppress(OSError):
                segment.path.unlink(missing_ok=True)
        self.segments.remove(segment)

    def rewrite(self, segment: Segment, frames: list[Frame]) -> None:
        """Replace a segment's frames; raise OSError if its file cannot be written."""
        self._leave(segment)
        if frames:
            segment.replace(frames)
        else:
            self.remove(segment)

    def substitute(self, sources: list[tuple[Segment, list[Frame]]], frames: list[Frame]) -> None:
        """Replace segments by what remains of each, and a new one of this boot, as one change.

        Args:
            sources: segments and the frames that remain in each.
            frames: the frames of the new segment; they get new sequences.

        Raises:
            OSError: the disk cannot be written.
        """
        new = [renumber(frame, self.sequence + place) for place, frame in enumerate(frames, 1)]
        self.sequence += len(new)
        path = segment_path(self.folder, self.boot_id, new[0].sequence)
        target = Segment(path, self.boot_id, frames=[] if self.disk_error else None)
        if not self.disk_error:
            contents = {one.path.name: _encode(left) for one, left in sources if left}
            contents[path.name] = _encode(new)
            removed = [one.path.name for one, left in sources if not left]
            replace_files(self.folder, contents, removed)
        for one, left in sources:
            one.set_frames(left)
            if not left:
                self.segments.remove(one)
        target.set_frames(new)
        self.segments.append(target)

    def hand_out(self, boot_id: str, frames: list[Frame]) -> list[Frame]:
        """Return the frames of a boot that may be sent now, after a mark that they may have been.

        Frames on a disk that cannot be written wait there, since nothing could tell after a restart
        that they were sent.
        """
        try:
            self.marks.reserve(boot_id, frames[-1].sequence)
        except OSError as error:
            self.degrade(error)
            if any(one.frames is None for one in self.segments if one.boot_id == boot_id):
                allowed = self.marks.allowed(boot_id)
                frames = [frame for frame in frames if frame.sequence <= allowed]
        if frames:
            self.marks.set_sent(boot_id, frames[-1].sequence)
        return frames

    def persist(self) -> None:
        """Write what is in memory only to the disk; raise OSError if that fails."""
        waiting = self.in_memory()
        if not (waiting or self.disk_error):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.marks.write({one.boot_id for one in self.segments} | {self.boot_id})
        for segment in waiting:
            segment.persist()
        if self.disk_error:
            _log.info("the spool %s can be written again", self.folder)
        self.disk_error = ""

    def unacknowledged(self, boot_id: str) -> Iterator[Frame]:
        """Yield the boot's frames that the hub has not acknowledged, in order."""
        for segment in [one for one in self.segments if one.boot_id == boot_id]:
            if self.pending(segment):
                watermark = self.watermark(boot_id)
                yield from (f for f in self.read(segment) if f.sequence > watermark)

    def close(self) -> None:
        """Close all files."""
        with contextlib.suppress(OSError):
            self.marks.write({one.boot_id for one in self.segments})
        self.rotate()
        for descriptor in self.take_unsynced():
            os.close(descriptor)

    def _begin_boot(self) -> None:
        self.boot_id = next_boot_id(self.folder, {one.boot_id for one in self.segments})
        self.marks.begin(self.boot_id)
        self.sequence = 0

    def _next_frame(self, record: hub_pb2.Record, is_sample: bool) -> Frame:
        self.sequence += 1
        record.sequence = self.sequence
        return Frame(self.sequence, is_sample, record.SerializeToString())

    def _append_to_file(self, frame: Frame) -> None:
        if self._active is not None and self._is_full(self.segments[-1], frame):
            self.rotate()
        if self._active is None:
            path = segment_path(self.folder, self.boot_id, frame.sequence)
            self._active = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self.segments.append(Segment(path, self.boot_id))
        segment, data = self.segments[-1], frame.encode()
        try:
            if os.write(self._active, data) != len(data):
                raise OSError("the write was incomplete")
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._active, segment.size)
            if not segment.sequences:
                self.remove(segment)
            self.rotate()
            raise
        segment.add(frame)

    def _memory_segment(self, frame: Frame) -> Segment:
        last = self.segments[-1] if self.segments else None
        if last is None or last.frames is None or self._is_full(last, frame):
            self.rotate()
            path = segment_path(self.folder, self.boot_id, frame.sequence)
            self.segments.append(Segment(path, self.boot_id, frames=[]))
        return self.segments[-1]

    def _is_full(self, segment: Segment, frame: Frame) -> bool:
        return segment.size + frame.size > self.segment_bytes

    def _give_up(self, segment: Segment, problem: str, lost: int) -> None:
        _log.error(
            "segment %s of the spool cannot be read, %d records are lost: %s",
            segment.path,
            lost,
            problem,
        )
        self._leave(segment)
        self.lost += lost
        self.segments.remove(segment)

    def _leave(self, segment: Segment) -> None:
        """Append no more to this segment."""
        if segment is self.segments[-1]:
            self.rotate()


def _encode(frames: list[Frame]) -> bytes:
    return b"".join(frame.encode() for frame in frames)
