"""Frames: the format of records in a segment, with checksums and resynchronisation.

A frame is a magic number, the CRC-32 of all that follows it, the payload's length, the record's
sequence, a flag for samples, and the payload. Reading never fails: a damaged place is
counted and skipped to the next frame with a valid checksum; damage up to the end is a torn tail.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

_HEAD = struct.Struct("<4sI")
_BODY = struct.Struct("<IQB")
_MAGIC = b"GnR1"

#: Bytes that a frame takes beside its payload.
OVERHEAD = _HEAD.size + _BODY.size


@dataclass(frozen=True, slots=True)
class Frame:
    """One record: its sequence, whether it is a sample, its bytes."""

    sequence: int
    sample: bool
    payload: bytes

    def encode(self) -> bytes:
        """Return the frame's bytes."""
        body = _BODY.pack(len(self.payload), self.sequence, self.sample) + self.payload
        return _HEAD.pack(_MAGIC, zlib.crc32(body)) + body

    @property
    def size(self) -> int:
        """Bytes that the frame takes in a segment."""
        return OVERHEAD + len(self.payload)


@dataclass(slots=True)
class ScanResult:
    """What a segment holds: whole frames, number of damaged places, bytes up to the last frame."""

    frames: list[Frame] = field(default_factory=list)
    damaged: int = 0
    sound_bytes: int = 0


def _frame_at(data: bytes, offset: int) -> Frame | None:
    start = offset + OVERHEAD
    if start > len(data):
        return None
    magic, checksum = _HEAD.unpack_from(data, offset)
    length, sequence, sample = _BODY.unpack_from(data, offset + _HEAD.size)
    if magic != _MAGIC or start + length > len(data):
        return None
    if zlib.crc32(memoryview(data)[offset + _HEAD.size : start + length]) != checksum:
        return None
    return Frame(sequence, bool(sample), data[start : start + length])


def _whole_frames(data: bytes) -> Iterator[tuple[int, Frame]]:
    offset = data.find(_MAGIC)
    while offset >= 0:
        frame = _frame_at(data, offset)
        if frame is not None:
            yield offset, frame
        offset = data.find(_MAGIC, offset + (frame.size if frame else 1))


def scan_frames(data: bytes) -> ScanResult:
    """Read all whole frames of a segment and skip damaged places.

    >>> scan_frames(Frame(1, False, b"a").encode() + b"torn").frames
    [Frame(sequence=1, sample=False, payload=b'a')]
    """
    found = ScanResult()
    for offset, frame in _whole_frames(data):
        found.damaged += offset != found.sound_bytes
        found.frames.append(frame)
        found.sound_bytes = offset + frame.size
    return found
