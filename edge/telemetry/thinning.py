"""Frees space in a full spool: drops samples, merges windows; both are counted."""

from collections.abc import Callable, Iterable, Sequence

from gnomon.edge.telemetry.frames import Frame
from gnomon.proto import hub_pb2

#: Merges the bytes of two windows of a package, given by digest; None if the node cannot.
WindowMerge = Callable[[str, bytes, bytes], bytes | None]


def sample_count(frame: Frame) -> int:
    """Return how many samples a record holds."""
    record = hub_pb2.Record.FromString(frame.payload)
    return len(record.predictions.request_ids) if record.HasField("predictions") else 1


def without_samples(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames that are not samples."""
    return [frame for frame in frames if not frame.sample]


def merge_windows(frames: Iterable[Frame], merge: WindowMerge, span_ms: int = 0) -> list[Frame]:
    """Merge windows of the same package, route, kind and interval into the last of them.

    Args:
        frames: in order; of any boots.
        merge: merges the bytes of two windows.
        span_ms: 0: only windows of the same interval are merged; otherwise all that start within
            the same span, into a window of their intervals together.
    """
    kept: dict[int, Frame] = {}
    merged: dict[tuple[object, ...], tuple[int, hub_pb2.Record]] = {}
    for place, frame in enumerate(frames):
        kept[place] = frame
        record = hub_pb2.Record.FromString(frame.payload)
        if not record.HasField("window"):
            continue
        key = _key(record.window, span_ms)
        if key in merged:
            earlier, other = merged[key]
            if _absorb(record.window, other.window, merge):
                del kept[earlier]
                kept[place] = Frame(frame.sequence, False, record.SerializeToString())
        merged[key] = (place, record)
    return list(kept.values())


def renumber(frame: Frame, sequence: int) -> Frame:
    """Return a frame's record under another sequence."""
    record = hub_pb2.Record.FromString(frame.payload)
    record.sequence = sequence
    return Frame(sequence, frame.sample, record.SerializeToString())


def _key(window: hub_pb2.Window, span_ms: int) -> tuple[object, ...]:
    source = (window.digest, window.route, window.shadow)
    if span_ms:
        return (*source, window.started_at_unix_ms // span_ms)
    return (*source, window.started_at_unix_ms, window.ended_at_unix_ms)


def _absorb(window: hub_pb2.Window, other: hub_pb2.Window, merge: WindowMerge) -> bool:
    """Add another window to `window`; return whether that was possible."""
    both = merge(window.digest, other.window, window.window)
    if not both:
        return False
    window.window = both
    window.rows += other.rows
    window.started_at_unix_ms = min(window.started_at_unix_ms, other.started_at_unix_ms)
    window.ended_at_unix_ms = max(window.ended_at_unix_ms, other.ended_at_unix_ms)
    return True
