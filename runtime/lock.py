"""One process for one folder, or for one file."""

import fcntl
import os
from pathlib import Path

from gnomon.runtime.errors import StorageError


class FileLock:
    """Holds a file for one process; the system lets go of it when the process ends, however."""

    def __init__(self, path: Path) -> None:
        """Take the lock, making the file if need be.

        Raises:
            StorageError: another process holds it, or it cannot be written.
        """
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageError(f"{path} cannot be used: {error}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise StorageError(f"another process uses {path}; give each its own") from error

    def release(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class FolderLock(FileLock):
    """Holds a folder for one process."""

    def __init__(self, folder: Path) -> None:
        """Take the lock; raises as `FileLock`."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"the data folder {folder} cannot be used: {error}") from error
        super().__init__(folder / "lock")
