"""Frees space in a full spool: drops samples, merges windows; both are counted."""

from collections.abc import Callable, Sequence

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


def merge_windows(frames: Sequence[Frame], merge: WindowMerge) -> list[Frame]:
    """Merge windows of the same package, route, kind and interval into the last of them."""
    merged: dict[tuple[object, ...], hub_pb2.Record] = {}
    kept: dict[int, Frame] = {}
    for frame in frames:
        record = hub_pb2.Record.FromString(frame.payload)
        if not record.HasField("window"):
            kept[frame.sequence] = frame
            continue
        window = record.window
        key = (
            window.digest,
            window.route,
            window.shadow,
            window.started_at_unix_ms,
            window.ended_at_unix_ms,
        )
        earlier = merged.get(key)
        both = earlier and merge(window.digest, earlier.window.window, window.window)
        if earlier and both:
            window.rows += earlier.window.rows
            window.window = both
        elif earlier:
            kept[earlier.sequence] = Frame(earlier.sequence, False, earlier.SerializeToString())
        merged[key] = record
    for record in merged.values():
        kept[record.sequence] = Frame(record.sequence, False, record.SerializeToString())
    return [kept[sequence] for sequence in sorted(kept)]
