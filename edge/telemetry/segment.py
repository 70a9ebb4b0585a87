"""The segment files of the spool: their names, and recovery after a crash."""

import logging
import os
import re
import secrets
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
    """A file of frames in order of sequence, with an index of it in memory."""

    path: Path
    boot_id: str
    size: int = 0
    samples: int = 0
    sequences: "array[int]" = field(default_factory=lambda: array("Q"))

    def add(self, frame: Frame) -> None:
        """Add a frame, which was appended to the file, to the index."""
        self.size += frame.size
        self.samples += frame.sample
        self.sequences.append(frame.sequence)

    def pending(self, watermark: int) -> int:
        """Return the number of records above the watermark."""
        return len(self.sequences) - bisect_right(self.sequences, watermark)

    def read(self) -> list[Frame]:
        """Return its whole frames."""
        return scan_frames(self.path.read_bytes()[: self.size]).frames

    def replace(self, frames: Sequence[Frame]) -> None:
        """Replace the frames of the file; after a crash it holds the former or the new frames.

        Raises:
            OSError: the file cannot be written.
        """
        write_durably(self.path, b"".join(frame.encode() for frame in frames), mode=0o600)
        self.set_frames(frames)

    def set_frames(self, frames: Sequence[Frame]) -> None:
        """Rebuild the index from the frames that the file holds."""
        self.size = self.samples = 0
        self.sequences = array("Q")
        for frame in frames:
            self.add(frame)


def segment_path(folder: Path, boot_id: str, sequence: int) -> Path:
    """Return the path of the segment that begins with this record; names sort as records do."""
    return folder / f"{boot_id}.{sequence:020d}.segment"


def load_segments(folder: Path) -> tuple[list[Segment], int]:
    """Return the segments in a folder, oldest first, and the number of damaged places.

    Torn tails are truncated; files that cannot be read are skipped.

    Raises:
        OSError: the folder cannot be read or written.
    """
    segments: list[Segment] = []
    damaged = 0
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            path.unlink()
        elif match := _NAME.match(path.name):
            last = segments[-1] if segments and segments[-1].boot_id == match[1] else None
            segment, places = _load(path, match[1], last.sequences[-1] if last else 0)
            damaged += places
            segments += [segment] if segment else []
    return segments, damaged


def next_boot_id(folder: Path, segments: Sequence[Segment]) -> str:
    """Return a new boot id, which sorts after all former ones.

    Raises:
        OSError: the counter cannot be written.
    """
    counter = folder / "boots"
    seen = [int(segment.boot_id[:8]) for segment in segments]
    if counter.exists() and (text := counter.read_bytes()[:8]).isdigit():
        seen.append(int(text))
    ordinal = max(seen, default=0) % 99_999_999 + 1
    write_durably(counter, str(ordinal).encode())
    return f"{ordinal:08d}-{secrets.token_hex(6)}"


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
    if not frames:
        path.unlink()
        return None, found.damaged
    segment = Segment(path, boot_id)
    if len(frames) < len(found.frames):
        segment.replace(frames)
        return segment, found.damaged
    if found.sound_bytes < len(data):
        os.truncate(path, found.sound_bytes)
    segment.set_frames(frames)
    segment.size = found.sound_bytes
    return segment, found.damaged
