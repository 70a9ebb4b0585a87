"""How far a file was consumed, in a small file that is replaced durably."""

import os
import zlib
from pathlib import Path
from typing import BinaryIO

import msgspec

from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import ConfigurationError, StorageError
from gnomon.runtime.files import write_durably
from gnomon.runtime.lock import FileLock

#: Length of the file's beginning whose checksum identifies the file.
_HEAD_BYTES = 4_096


class _ProgressState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes before `offset` are done; `head_crc` is of the first `head_bytes` of the file."""

    offset: int
    head_bytes: int
    head_crc: int


class FileProgress:
    """The offset in one file before which all is done."""

    def __init__(self, path: Path) -> None:
        """Hold the progress for this process.

        Raises:
            StorageError: another process consumes with it, or its folder cannot be written.
        """
        self._path = path
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))
        self._file: BinaryIO | None = None
        self._state = _ProgressState(0, 0, 0)

    def begin(self, file: BinaryIO) -> int:
        """Return the offset to start from in a file.

        Raises:
            ConfigurationError: it is another file, or the progress cannot be read.
        """
        self._file = file
        if self._path.exists():
            try:
                self._state = msgspec.json.decode(self._path.read_bytes(), type=_ProgressState)
            except (OSError, *UNDECODABLE) as error:
                raise ConfigurationError(
                    f"{self._path} is not a progress file ({error}); remove it to start "
                    "from the beginning"
                ) from error
        size = os.fstat(file.fileno()).st_size
        if size < self._state.offset or self._crc(self._state.head_bytes) != self._state.head_crc:
            raise ConfigurationError(
                f"{self._path} belongs to another file: {self._state.offset} bytes were done, and "
                "the source is shorter or has another beginning; remove it to start from the "
                "beginning"
            )
        return self._state.offset

    def commit(self, offset: int) -> None:
        """Make the offset durable.

        Raises:
            StorageError: the disk did not take it.
        """
        if offset == self._state.offset:
            return
        head_bytes, head_crc = self._state.head_bytes, self._state.head_crc
        if head_bytes < _HEAD_BYTES:
            head_bytes = min(offset, _HEAD_BYTES)
            head_crc = self._crc(head_bytes)
        state = _ProgressState(offset, head_bytes, head_crc)
        try:
            write_durably(self._path, msgspec.json.encode(state), mode=0o600)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error}") from error
        self._state = state

    def close(self) -> None:
        """Release the lock for another process."""
        self._lock.release()

    def _crc(self, size: int) -> int:
        """Return the checksum of the file's beginning."""
        assert self._file is not None  # noqa: S101
        return zlib.crc32(os.pread(self._file.fileno(), size, 0))
