"""Polls one file and calls back when it has changed."""

import threading
from collections.abc import Callable
from pathlib import Path

_POLL_SECONDS = 0.5


class FileWatcher:
    """Polls a file in a thread of its own. Only changes after construction are reported."""

    def __init__(self, path: Path, changed: Callable[[], object]) -> None:
        self._path = path
        self._changed = changed
        self._seen = self._stamp()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="file-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop polling."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            stamp = self._stamp()
            if stamp is not None and stamp != self._seen:
                self._seen = stamp
                self._changed()

    def _stamp(self) -> tuple[int, int, int] | None:
        """Return modification time (ns), size and inode; None if the file does not exist."""
        try:
            state = self._path.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino
