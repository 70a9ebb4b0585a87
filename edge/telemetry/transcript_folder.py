"""The folder of a node's transcripts: JSON lines in segments; the oldest are dropped first."""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from gnomon.edge.settings import NodeSettings
from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import StorageError

_log = logging.getLogger(__name__)
_PATTERN = "[0-9]*.jsonl"
#: Number of segments in the budget: the oldest is dropped as a whole.
_SEGMENTS = 8


class TranscriptFolder:
    """Appends lines; keeps to a budget of bytes. One process at a time; one thread uses it.

    Nothing is synced: transcripts are samples, and a power cut may cost the last of them.
    """

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        """Use a folder, making it if need be.

        Raises:
            StorageError: it cannot be written.
        """
        self.dropped = 0
        self._folder = folder
        self._budget_bytes = budget_bytes
        self._segment_bytes = max(budget_bytes // _SEGMENTS, 1)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sizes = {path: path.stat().st_size for path in _segments(folder)}
            # A segment from before a crash may end within a line, so it is not appended to.
            self._file = self._next()
        except OSError as error:
            raise StorageError(f"cannot write transcripts to {folder}: {error}") from error

    def put(self, lines: Sequence[bytes]) -> None:
        """Append lines; lines that are larger than a segment are dropped, and counted.

        Raises:
            OSError: the disk cannot be written; later lines are written if it can be again.
        """
        for line in lines:
            if len(line) >= self._segment_bytes:
                self.dropped += 1
                continue
            is_full = self._sizes[self._path] + len(line) + 1 > self._segment_bytes
            if self._file.closed or is_full:
                self.close()
                self._file = self._next()
            self._file.write(line + b"\n")
            self._sizes[self._path] += len(line) + 1
        self._file.flush()

    def close(self) -> None:
        """Close the segment; what a full disk does not take of it is lost."""
        try:
            self._file.close()
        except OSError as error:
            _log.warning("the end of %s is lost: %s", self._path, error)

    def _next(self) -> BinaryIO:
        """Begin a segment; drop old ones until it fits into the budget."""
        last = max((int(path.stem) for path in self._sizes), default=0)
        while self._sizes and sum(self._sizes.values()) > self._budget_bytes - self._segment_bytes:
            oldest = min(self._sizes, key=lambda path: int(path.stem))
            with contextlib.suppress(FileNotFoundError):
                self.dropped += oldest.read_bytes().count(b"\n")
                oldest.unlink()
            del self._sizes[oldest]
        path = self._folder / f"{last + 1:08d}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._path = path
        self._sizes[path] = 0
        return os.fdopen(descriptor, "wb")


def open_transcripts(settings: NodeSettings) -> TranscriptFolder | None:
    """Return the folder of a node's transcripts, or None if it keeps none.

    Raises:
        StorageError: the folder cannot be written.
    """
    if settings.transcripts_folder is None:
        return None
    return TranscriptFolder(settings.transcripts_folder, settings.transcripts_bytes)


def read_transcripts(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the transcripts in a folder, oldest first; lines cut by a crash are skipped."""
    for path in _segments(folder):
        with path.open("rb") as file:
            for line in file:
                try:
                    yield msgspec.json.decode(line, type=dict[str, Any])
                except UNDECODABLE:
                    continue


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob(_PATTERN), key=lambda path: int(path.stem))
