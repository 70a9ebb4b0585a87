"""One process for one data folder."""

import fcntl
import os
from pathlib import Path

from gnomon.runtime.errors import StorageError


class FolderLock:
    """Holds a folder for one process; the system lets go of it when the process ends, however."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            StorageError: another process holds the folder, or it cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageError(f"the data folder {folder} cannot be used: {error}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise StorageError(
                f"another process uses the data folder {folder}; give each its own"
            ) from error

    def release(self) -> None:
        """Let go of the folder."""
        os.close(self._descriptor)
