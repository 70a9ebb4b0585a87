"""One process for one folder, or for one file."""

import fcntl
import logging
import os
import time
from pathlib import Path

from gnomon.runtime.errors import StorageError
from gnomon.runtime.files import clear_temporaries

_log = logging.getLogger(__name__)

#: The rights of others than the owner.
_OTHERS = 0o077
#: How long, and how often, a lock is tried that another process holds.
_PATIENCE_SECONDS, _PAUSE_SECONDS = 1.0, 0.02


class FileLock:
    """Holds a file for one process; the system lets go of it when the process ends, however."""

    def __init__(self, path: Path) -> None:
        """Take the lock, making the file if need be.

        A disk that cannot be written is no obstacle if the file is there.

        Raises:
            StorageError: another process holds it, or it cannot be opened.
        """
        try:
            self._descriptor = _open(path)
        except OSError as error:
            raise StorageError(f"{path} cannot be used: {error}") from error
        try:
            _lock(self._descriptor, path)
        except StorageError:
            self.release()
            raise

    def release(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class FolderLock:
    """Holds a folder for one process, and clears what killed processes left in it.

    The file `lock` in it is held, and the folder itself. So a process that cannot make the file, on
    a full or read-only disk, and a process that can exclude each other.
    """

    def __init__(self, folder: Path, *, is_private: bool = False) -> None:
        """Take the lock, making the folder if need be.

        Args:
            folder: to hold.
            is_private: whether the folder is closed to other users, whatever the umask.

        Raises:
            StorageError: another process holds it, or it cannot be used.
        """
        self._descriptors: list[int] = []
        try:
            folder.mkdir(0o700 if is_private else 0o777, parents=True, exist_ok=True)
            self._descriptors.append(os.open(folder, os.O_RDONLY))
        except OSError as error:
            raise StorageError(f"the data folder {folder} cannot be used: {error}") from error
        try:
            self._take(folder)
        except StorageError:
            self.release()
            raise
        if is_private:
            _close_to_others(folder)
        clear_temporaries(folder)

    def release(self) -> None:
        """Let go of the folder."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []

    def _take(self, folder: Path) -> None:
        path = folder / "lock"
        try:
            self._descriptors.append(_open(path))
        except OSError:
            _lock(self._descriptors[0], folder)
            return
        _lock(self._descriptors[1], path)
        try:
            _flock(self._descriptors[0])
        except BlockingIOError as error:
            raise StorageError(f"another process uses {folder}; give each its own") from error
        except OSError:
            return  # some network file systems lock no folders


def _close_to_others(folder: Path) -> None:
    """Take the rights of other users away from a folder that was there before."""
    try:
        if folder.stat().st_mode & _OTHERS:
            folder.chmod(0o700)
            _log.warning("the data folder %s was open to other users, and is closed now", folder)
    except OSError as error:
        _log.warning("other users may read the data folder %s: %s", folder, error)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        # A lock needs no right to write.
        return os.open(path, os.O_RDONLY)


def _lock(descriptor: int, path: Path) -> None:
    try:
        _flock(descriptor)
    except BlockingIOError as error:
        raise StorageError(f"another process uses {path}; give each its own") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be locked: {error}") from error


def _flock(descriptor: int) -> None:
    """Take a lock.

    A process that was killed while it started another leaves its locks to that one for an instant,
    until its program has been loaded. So a lock is tried for a while.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return
