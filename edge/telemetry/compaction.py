"""Merges the windows of all segments of a spool, also of former boots, to free space.

Records that may have been sent stay as they are: merged, they would count twice. All others move,
merged, into new segments of the present boot, each with its sources replaced as one change.
"""

from dataclasses import dataclass, field

from gnomon.edge.telemetry.frames import Frame
from gnomon.edge.telemetry.segment import Segment
from gnomon.edge.telemetry.segment_list import SegmentList
from gnomon.edge.telemetry.thinning import WindowMerge, merge_windows


@dataclass(slots=True)
class _Group:
    """Segments whose unsent frames, merged, become one segment."""

    sources: list[tuple[Segment, list[Frame]]] = field(default_factory=list)
    unsent: int = 0
    frames: list[Frame] = field(default_factory=list)

    def write(self, segments: SegmentList) -> int:
        """Replace the sources if that frees anything; return how many windows were merged."""
        merged = self.unsent - len(self.frames)
        if merged:
            segments.substitute(self.sources, self.frames)
        return merged


def merge_segments(segments: SegmentList, merge: WindowMerge, span_ms: int, enough: int) -> int:
    """Merge windows, oldest segments first; return how many were merged into others.

    Args:
        segments: of the spool; while the disk cannot be written, only those in memory are merged.
        merge: merges the bytes of two windows.
        span_ms: as of `merge_windows`.
        enough: stop once all segments together have at most this many bytes; 0: merge all.

    Raises:
        OSError: the disk cannot be written.
    """
    segments.rotate()
    merged, group = 0, _Group()
    for source in list(segments.segments):
        if segments.size <= enough:
            break
        if segments.disk_error and source.frames is None:
            continue
        sent, unsent = _split(segments, source)
        if not unsent:
            continue
        frames = merge_windows([*group.frames, *unsent], merge, span_ms)
        if group.sources and sum(frame.size for frame in frames) > segments.segment_bytes:
            merged += group.write(segments)
            group, frames = _Group(), merge_windows(unsent, merge, span_ms)
        group.sources.append((source, sent))
        group.unsent += len(unsent)
        group.frames = frames
    return merged + group.write(segments)


def _split(segments: SegmentList, source: Segment) -> tuple[list[Frame], list[Frame]]:
    """Return a segment's frames that may have been sent, and those that were not."""
    frames = segments.read(source)
    marks = segments.marks.sent_through(source.boot_id)
    through = max(marks, segments.watermark(source.boot_id))
    sent = [frame for frame in frames if frame.sequence <= through]
    return sent, frames[len(sent) :]
