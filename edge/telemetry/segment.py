"""The segments of the spool: files of frames, or frames in memory; recovery after a crash."""

import contextlib
import logging
import os
import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gnomon.edge.telemetry.frames import Frame, scan_frames
from gnomon.runtime.files import write_durably

_log = logging.getLogger(__name__)
_NAME = re.compile(r"^(\d{8}-[0-9a-f]{12})\.\d{20}\.segment$")


@dataclass(slots=True)
class Segment:
    """A file of frames in order of sequence, with an index of it in memory.

    While the disk cannot be written, the frames are in memory only: `frames` is not None.
    """

    path: Path
    boot_id: str
    size: int = 0
    samples: int = 0
    sequences: "array[int]" = field(default_factory=lambda: array("Q"))
    frames: list[Frame] | None = None

    def add(self, frame: Frame) -> None:
        """Add a frame to the index, and to the frames in memory; the file has it already."""
        self.size += frame.size
        self.samples += frame.sample
        self.sequences.append(frame.sequence)
        if self.frames is not None:
            self.frames.append(frame)

    def pending(self, watermark: int) -> int:
        """Return the number of records above the watermark."""
        return len(self.sequences) - bisect_right(self.sequences, watermark)

    def read(self) -> list[Frame]:
        """Return its whole frames; raise OSError if the file cannot be read."""
        if self.frames is not None:
            return list(self.frames)
        return scan_frames(self.path.read_bytes()[: self.size]).frames

    def replace(self, frames: Sequence[Frame]) -> None:
        """Replace the frames of the file; after a crash it holds the former or the new frames.

        Raises:
            OSError: the file cannot be written.
        """
        if self.frames is None:
            write_durably(self.path, b"".join(frame.encode() for frame in frames), mode=0o600)
        self.set_frames(frames)

    def persist(self) -> None:
        """Write frames that are in memory only to the file; raise OSError if that fails."""
        if self.frames is not None:
            frames, self.frames = self.frames, None
            try:
                self.replace(frames)
            except OSError:
                self.frames = frames
                raise

    def set_frames(self, frames: Sequence[Frame]) -> None:
        """Rebuild the index from the frames that the file holds."""
        self.size = self.samples = 0
        self.sequences = array("Q")
        if self.frames is not None:
            self.frames = []
        for frame in frames:
            self.add(frame)


def read_segment(path: Path, boot_id: str) -> Segment:
    """Return the segment of a file; raise OSError if it cannot be read."""
    segment = Segment(path, boot_id)
    segment.set_frames(scan_frames(path.read_bytes()).frames)
    segment.size = path.stat().st_size
    return segment


def segment_path(folder: Path, boot_id: str, sequence: int) -> Path:
    """Return the path of the segment that begins with this record; names sort as records do."""
    return folder / f"{boot_id}.{sequence:020d}.segment"


def load_segments(folder: Path) -> tuple[list[Segment], int]:
    """Return the segments in a folder, oldest first, and the number of damaged places.

    Torn tails are truncated; files that cannot be read are skipped. On a disk that cannot be
    written, the files stay as they are.

    Raises:
        OSError: the folder cannot be read.
    """
    segments: list[Segment] = []
    damaged = 0
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            with contextlib.suppress(OSError):
                path.unlink()
        elif match := _NAME.match(path.name):
            last = segments[-1] if segments and segments[-1].boot_id == match[1] else None
            segment, places = _load(path, match[1], last.sequences[-1] if last else 0)
            damaged += places
            segments += [segment] if segment else []
    return segments, damaged


def _load(path: Path, boot_id: str, last: int) -> tuple[Segment | None, int]:
    """Read one segment; records up to sequence `last` are also in the segment before it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        _log.warning("cannot read segment %s of the spool, which is skipped: %s", path, error)
        return None, 1
    found = scan_frames(data)
    if found.damaged:
        _log.warning("%d damaged places in segment %s of the spool", found.damaged, path)
    frames = [frame for frame in found.frames if frame.sequence > last]
    segment = Segment(path, boot_id)
    try:
        if not frames:
            path.unlink()
            return None, found.damaged
        if len(frames) < len(found.frames):
            segment.replace(frames)
            return segment, found.damaged
        if found.sound_bytes < len(data):
            os.truncate(path, found.sound_bytes)
    except OSError as error:
        _log.warning("cannot repair segment %s of the spool: %s", path, error)
        if len(frames) < len(found.frames):
            segment.frames = []  # the file holds more than what counts
    segment.set_frames(frames)
    if segment.frames is None:
        segment.size = found.sound_bytes
    return (segment if frames else None), found.damaged
