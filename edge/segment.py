"""One file of the spool."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gnomon.edge.frames import Frame, scan
from gnomon.runtime.files import write_durably


@dataclass(slots=True)
class Segment:
    """A file of frames in order of sequence, and what is known of it without reading it."""

    path: Path
    boot: str
    size: int = 0
    samples: int = 0
    sequences: "array[int]" = field(default_factory=lambda: array("Q"))

    def add(self, frame: Frame) -> None:
        """Take note of a frame that was appended to the file."""
        self.size += frame.size
        self.samples += frame.sample
        self.sequences.append(frame.sequence)

    def pending(self, watermark: int) -> int:
        """Return how many of its records come after the watermark."""
        return len(self.sequences) - bisect_right(self.sequences, watermark)

    def read(self) -> list[Frame]:
        """Return its whole frames."""
        return scan(self.path.read_bytes()[: self.size]).frames

    def replace(self, frames: Sequence[Frame]) -> None:
        """Make the file hold these frames instead: after a crash, the old ones or the new ones.

        Raises:
            OSError: the disk did not take them.
        """
        write_durably(self.path, b"".join(frame.encode() for frame in frames), mode=0o600)
        self.size = self.samples = 0
        self.sequences = array("Q")
        for frame in frames:
            self.add(frame)
