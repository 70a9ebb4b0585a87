"""Reload of TLS files when they change, and a log of handshakes that fail.

New connections use the new files; open connections keep the old ones. Files that do not match (a
new certificate whose key is not written yet) change nothing.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gnomon.runtime.errors import ConfigurationError

_log = logging.getLogger(__name__)

#: Seconds between two checks of the files.
CHECK_SECONDS = 1.0
#: Seconds from one line about failed handshakes to the next.
LOG_SECONDS = 10.0

#: The files of certificate and key, and of the authority of clients, if they need certificates.
TlsFiles = tuple[Path, Path, Path | None]

_Stamps = tuple[tuple[int, int, int] | None, ...]


def combine_files(
    certificate: Path | None, key: Path | None, authority: Path | None
) -> TlsFiles | None:
    """Return the files of the settings together; None in clear text.

    Raises:
        ValueError: one is given without that to which it belongs.
    """
    if bool(certificate) != bool(key):
        raise ValueError("certificate_file and key_file belong together; give both")
    if authority and not certificate:
        raise ValueError("client_authority_file belongs to certificate_file; give both")
    return None if certificate is None or key is None else (certificate, key, authority)


class ChangedFiles:
    """Detects changes of TLS files since the last check."""

    def __init__(self, files: TlsFiles | None) -> None:
        self._files = tuple(file for file in files or () if file is not None)
        self._stamps = self._stamp_files()

    def have_changed(self) -> bool:
        """Check the files; True once for each change."""
        before, self._stamps = self._stamps, self._stamp_files()
        return before != self._stamps

    def _stamp_files(self) -> _Stamps:
        return tuple(_stamp_of(file) for file in self._files)


class HandshakeLog:
    """Counts handshakes that fail, and logs them, at most one line in `LOG_SECONDS`.

    Without it no log says why a client with an expired certificate gets no answer.
    """

    def __init__(self, frontend: str) -> None:
        self._frontend = frontend
        self._lock = threading.Lock()
        self._failed = 0
        self._reason = ""
        self._next = 0.0

    def add(self, count: int, reason: str) -> None:
        """Count failed handshakes; the reason is that of the last one."""
        if count:
            with self._lock:
                self._failed += count
                self._reason = reason

    def report(self) -> None:
        """Log what has failed since the last line, if it is time."""
        now = time.monotonic()
        with self._lock:
            failed, reason = self._failed, self._reason
            if not failed or now < self._next:
                return
            self._failed, self._next = 0, now + LOG_SECONDS
        _log.warning(
            "%d TLS handshakes with clients of the frontend %s failed; the last: %s",
            failed,
            self._frontend,
            reason,
        )


class Follower:
    """Calls `renew` in its own thread after the files have changed, until `stop`.

    `renew` raises `ConfigurationError` if they cannot be used; that is logged. `report` is called
    at each check.
    """

    def __init__(
        self, files: TlsFiles | None, renew: Callable[[], None], report: Callable[[], None]
    ) -> None:
        self._changed = ChangedFiles(files)
        self._renew = renew
        self._report = report
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="certificates", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop checking the files."""
        self._stopped.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stopped.wait(CHECK_SECONDS):
            self._report()
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
