"""Segments that the hub has acknowledged, kept for some hours.

A hub that was restored from a backup has lost what it acknowledged since, and gets it again. What
is kept of a boot is always its newest records without a gap: the oldest segments go first, and one
that cannot be kept ends what is kept before it. So the first record that is kept says it all.
"""

import contextlib
import logging
import os
import re
from pathlib import Path
from typing import NamedTuple

from gnomon.edge.telemetry.segment import Segment, read_segment, segment_path

_log = logging.getLogger(__name__)
_NAME = re.compile(r"^(\d{8}-[0-9a-f]{12})\.(\d{20})\.(\d{20})\.segment$")


class _Kept(NamedTuple):
    """A segment's file, its records from the first to the last, and when they were acknowledged."""

    path: Path
    boot_id: str
    first: int
    last: int
    size: int
    acknowledged_at: float


class AcknowledgedSegments:
    """The segments of a folder, oldest first; for the owner of the spool's lock."""

    def __init__(self, folder: Path, seconds: float) -> None:
        """Find what was kept before.

        Args:
            folder: of the kept segments; made when the first is kept.
            seconds: how long a segment is kept; 0: none is.
        """
        self._folder = folder
        self._seconds = seconds
        self._kept: list[_Kept] = []
        self.size = 0
        with contextlib.suppress(OSError):
            self._find()

    def boots(self) -> dict[str, int]:
        """Return the last kept record of each boot."""
        return {one.boot_id: one.last for one in self._kept}

    def first(self, boot_id: str) -> int:
        """Return the first record that is kept of a boot; 0: none is."""
        return next((one.first for one in self._kept if one.boot_id == boot_id), 0)

    def keep(self, segment: Segment, now: float) -> None:
        """Keep the file of a segment, or remove it; the caller forgets the segment."""
        try:
            kept = self._move(segment, now) if self._can_keep(segment) else None
        except OSError:
            kept = None
        if kept is not None:
            self._kept.append(kept)
            self.size += kept.size
            return
        self.forget(segment.boot_id)
        if segment.frames is None:
            with contextlib.suppress(OSError):
                segment.path.unlink(missing_ok=True)

    def forget(self, boot_id: str) -> None:
        """Remove what is kept of a boot: records after it are missing."""
        for one in [one for one in self._kept if one.boot_id == boot_id]:
            self._remove(one)

    def trim(self, limit_bytes: int, now: float) -> None:
        """Remove the oldest segments until they take no more than this, and those out of date."""
        while self._kept and (
            self.size > limit_bytes or now - self._kept[0].acknowledged_at > self._seconds
        ):
            self._remove(self._kept[0])

    def take(self, boot_id: str, above: int, folder: Path) -> list[Segment]:
        """Return segments of a boot that have records above a sequence; they are kept no more.

        The newest is moved first, so that a crash leaves older ones that are kept and newer ones
        that wait, as in any spool.

        Args:
            boot_id: of the segments.
            above: the sequence.
            folder: where their files are moved.
        """
        taken: list[Segment] = []
        for one in reversed([one for one in self._kept if one.boot_id == boot_id]):
            if one.last <= above:
                break
            self._kept.remove(one)
            self.size -= one.size
            path = segment_path(folder, boot_id, one.first)
            try:
                one.path.rename(path)
                segment = read_segment(path, boot_id)
            except OSError as error:
                _log.error("the kept segment %s is lost: %s", one.path, error)
                self.forget(boot_id)
                break
            taken += [segment] if segment.sequences else []
        return taken[::-1]

    def _can_keep(self, segment: Segment) -> bool:
        return self._seconds > 0 and segment.frames is None and bool(segment.sequences)

    def _move(self, segment: Segment, now: float) -> _Kept:
        first, last = segment.sequences[0], segment.sequences[-1]
        name = f"{segment.boot_id}.{first:020d}.{last:020d}.segment"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        os.utime(segment.path, (now, now))
        path = segment.path.rename(self._folder / name)
        return _Kept(path, segment.boot_id, first, last, segment.size, now)

    def _find(self) -> None:
        for path in sorted(self._folder.iterdir()):
            if found := _NAME.match(path.name):
                status = path.stat()
                first, last = int(found[2]), int(found[3])
                kept = _Kept(path, found[1], first, last, status.st_size, status.st_mtime)
                self._kept.append(kept)
                self.size += kept.size

    def _remove(self, one: _Kept) -> None:
        self._kept.remove(one)
        self.size -= one.size
        with contextlib.suppress(OSError):
            one.path.unlink(missing_ok=True)
