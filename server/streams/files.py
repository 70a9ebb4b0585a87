"""Files and pipes as sources and sinks: JSON, one record a line."""

import fcntl
import os
import select
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gnomon.runtime.errors import StorageError
from gnomon.runtime.files import sync_folder
from gnomon.server.streams.connectors import Record
from gnomon.server.streams.file_progress import FileProgress
from gnomon.server.streams.lines import Line, LineSplitter

_PIECE_BYTES = 1 << 18
#: Seconds between two checks of a followed file.
_CHECK_SECONDS = 0.05


class PipeSource:
    """Lines of standard input or of a named pipe; they cannot be read again."""

    def __init__(self, descriptor: int, record_bytes: int, name: str = "pipe") -> None:
        self.name = name
        self.ended = False
        self._descriptor = descriptor
        self._splitter = LineSplitter(record_bytes)
        self._lines: Iterator[Line] = iter(())
        self._count = 0

    def read(self, limit: int, seconds: float) -> list[Record]:
        """Return lines as they come."""
        until = time.monotonic() + seconds
        records: list[Record] = []
        while len(records) < limit and not self.ended:
            line = next(self._lines, None)
            if line is not None:
                records += self._record(line)
                continue
            left = max(until - time.monotonic(), 0.0)
            if not select.select([self._descriptor], [], [], left)[0]:
                break
            self._take_piece(records)
        return records

    def _take_piece(self, records: list[Record]) -> None:
        piece = os.read(self._descriptor, _PIECE_BYTES)
        if piece:
            self._lines = self._splitter.feed(piece)
            return
        self.ended = True
        last = self._splitter.rest()
        records += self._record(last) if last else []

    def _record(self, line: Line) -> list[Record]:
        self._count += 1
        record = Record(line.data, str(self._count), line.is_whole)
        return [record] if line.data.strip() else []

    def commit(self) -> None:
        """Do nothing: a pipe cannot be read again."""

    def close(self) -> None:
        """Leave the pipe to the code that opened it."""


class FileSource:
    """Lines of a file from where the last consumer committed; a record's position is its offset.

    With `follow`, it waits for more at the end of the file, and for the end of its last line.
    """

    def __init__(self, path: Path, progress: FileProgress, record_bytes: int, follow: bool) -> None:
        """Open the file.

        Raises:
            StorageError: it cannot be read.
            ConfigurationError: it is not the file that the progress is of.
        """
        self.name = path.name
        self.ended = False
        self._path = path
        self._progress = progress
        self._follow = follow
        try:
            self._file = path.open("rb", buffering=0)
            self._begin = progress.begin(self._file)
            self._file.seek(self._begin)
        except OSError as error:
            raise StorageError(f"the source {path} cannot be read: {error}") from error
        self._splitter = LineSplitter(record_bytes, self._begin)
        self._lines: Iterator[Line] = iter(())

    def read(self, limit: int, seconds: float) -> list[Record]:
        """Return lines; wait for more if the file is followed."""
        until = time.monotonic() + seconds
        records: list[Record] = []
        while len(records) < limit and not self.ended:
            line = next(self._lines, None)
            if line is None and not self._take_piece():
                if time.monotonic() >= until:
                    break
                time.sleep(_CHECK_SECONDS)
            elif line is not None:
                records += self._record(line)
        return records

    def _take_piece(self) -> bool:
        """Read more; return whether there are lines."""
        try:
            piece = self._file.read(_PIECE_BYTES)
        except OSError as error:
            raise StorageError(f"the source {self._path} cannot be read: {error}") from error
        if piece:
            self._lines = self._splitter.feed(piece)
            return True
        if self._follow:
            return False
        last = self._splitter.rest()
        self._lines = iter([last] if last else [])
        self.ended = last is None
        return True

    def _record(self, line: Line) -> list[Record]:
        record = Record(line.data, str(self._begin), line.is_whole)
        self._begin = line.after
        return [record] if line.data.strip() else []

    def commit(self) -> None:
        """Make the offset of the next record durable."""
        self._progress.commit(self._begin)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._progress.close()


class FileSink:
    """Appends lines to a file; opening it removes an incomplete last line after a crash."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            StorageError: it cannot be written, or another process is writing it.
        """
        self._path = path
        try:
            self._file = path.open("ab+", buffering=0)
            # One process must not remove what another one is writing.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _cut_torn_line(self._file.fileno())
            sync_folder(path.parent)
        except OSError as error:
            raise self._failure(error) from error

    def write(self, answers: Sequence[tuple[str, bytes]]) -> None:
        """Append and sync; after an error, a partial write is removed."""
        before = os.fstat(self._file.fileno()).st_size
        data = memoryview(b"".join(answer + b"\n" for _, answer in answers))
        try:
            while data:
                data = data[self._file.write(data) or 0 :]
            os.fdatasync(self._file.fileno())
        except OSError as error:
            os.ftruncate(self._file.fileno(), before)
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _failure(self, error: OSError) -> StorageError:
        return StorageError(f"the sink {self._path} cannot be written: {error}")


class PipeSink:
    """Writes lines to standard output; the reader has to store them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, answers: Sequence[tuple[str, bytes]]) -> None:
        """Write; wait while the reader does not read."""
        data = memoryview(b"".join(answer + b"\n" for _, answer in answers))
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise StorageError(f"the pipe cannot be written: {error}") from error

    def close(self) -> None:
        """Leave the pipe to the code that opened it."""


def _cut_torn_line(descriptor: int) -> None:
    """Remove what follows the last end of a line."""
    size = end = os.fstat(descriptor).st_size
    while end:
        begin = max(end - _PIECE_BYTES, 0)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    if end < size:
        os.ftruncate(descriptor, end)
