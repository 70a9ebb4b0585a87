"""A frontend's TLS files, followed as they change: a renewed certificate needs no restart.

What is renewed holds for connections to come; those that are open stay as they are. Files that do
not fit each other (a new certificate whose key is still to be written) change nothing.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from gnomon.runtime.errors import ConfigurationError
from gnomon.server.serving.settings import FrontendSettings

_log = logging.getLogger(__name__)

#: The files are looked at no more often.
LOOK_SECONDS = 1.0

_Stamps = tuple[tuple[int, int, int] | None, ...]


class ChangedFiles:
    """Tells whether any of a frontend's TLS files has changed since it was asked last."""

    def __init__(self, settings: FrontendSettings) -> None:
        self._files = tuple(file for file in settings.tls_files or () if file is not None)
        self._stamps = self._look()

    def have_changed(self) -> bool:
        """Look at the files; true once for each change."""
        before, self._stamps = self._stamps, self._look()
        return before != self._stamps

    def _look(self) -> _Stamps:
        return tuple(_stamp_of(file) for file in self._files)


class Follower:
    """Calls `renew` in a thread of its own after the files have changed, until `stop`.

    `renew` raises `ConfigurationError` where they are not to be used; the log says so.
    """

    def __init__(self, settings: FrontendSettings, renew: Callable[[], None]) -> None:
        self._changed = ChangedFiles(settings)
        self._renew = renew
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="certificates", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow no more."""
        self._stopped.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            if not self._changed.have_changed():
                continue
            try:
                self._renew()
                _log.info("new connections are served with the renewed certificate")
            except ConfigurationError as error:
                _log.warning("the old certificate is kept: %s", error)


def _stamp_of(file: Path) -> tuple[int, int, int] | None:
    with contextlib.suppress(OSError):
        found = file.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None
