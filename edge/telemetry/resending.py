"""Lets acknowledged records wait again that the hub has lost, as after a restore from a backup."""

from bisect import bisect

from gnomon.edge.telemetry.segment import Segment
from gnomon.edge.telemetry.segment_list import SegmentList


def first_record(segments: SegmentList, boot_id: str) -> int:
    """Return the sequence from which on all records of a boot are here; 0: there are none."""
    waiting = (one.sequences[0] for one in segments.segments if one.boot_id == boot_id)
    return segments.kept.first(boot_id) or next(waiting, 0)


def acknowledged_here(segments: SegmentList) -> dict[str, int]:
    """Return the watermark of each boot of which acknowledged records are still here."""
    boots = {one.boot_id for one in segments.segments} | segments.kept.boots().keys()
    marks = {boot: segments.watermark(boot) for boot in boots}
    return {boot: mark for boot, mark in marks.items() if mark}


def rewind(segments: SegmentList, boot_id: str, watermark: int) -> int:
    """Let kept records of a boot wait again, and return how many they are.

    What is not kept any more stays acknowledged, so that the hub learns what is lost for good.

    Args:
        segments: of the spool.
        boot_id: of the records.
        watermark: the hub has the records up to this sequence only.
    """
    known = segments.watermark(boot_id)
    before = _pending(segments, boot_id)
    for segment in segments.kept.take(boot_id, watermark, segments.folder):
        places = [_place(one) for one in segments.segments]
        segments.segments.insert(bisect(places, _place(segment)), segment)
    lowest = (first_record(segments, boot_id) or known + 1) - 1
    segments.set_watermark(boot_id, min(max(watermark, lowest), known))
    return _pending(segments, boot_id) - before


def _pending(segments: SegmentList, boot_id: str) -> int:
    return sum(segments.pending(one) for one in segments.segments if one.boot_id == boot_id)


def _place(segment: Segment) -> tuple[str, int]:
    return segment.boot_id, segment.sequences[0] if segment.sequences else 0
