"""The log of an agent's process in its data folder, besides standard error: two small files."""

import io
import logging
import os
import time
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

__all__ = ["LOG_FILE", "follow_log", "log_to_file", "read_log"]

LOG_FILE = "agent.log"
_FILE_BYTES = 1 << 20
_POLL_SECONDS = 0.5


class _LogFile(RotatingFileHandler):
    """A file for its owner only. A disk that refuses it stops nothing."""

    def _open(self) -> io.TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do nothing: standard error has the record, and the status says why a disk refuses."""


def log_to_file(folder: Path) -> None:
    """Write all that is logged to the data folder, too, in the format of standard error."""
    root = logging.getLogger()
    formatter = next((one.formatter for one in root.handlers if one.formatter), None)
    handler = _LogFile(folder / LOG_FILE, maxBytes=_FILE_BYTES, backupCount=1, delay=True)
    handler.setFormatter(formatter)
    root.addHandler(handler)


def read_log(folder: Path, lines: int) -> list[str]:
    """Return the last lines of the log, oldest first; none if there is no file."""
    found: list[str] = []
    for path in (folder / f"{LOG_FILE}.1", folder / LOG_FILE):
        try:
            found += path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            continue
    return found[-lines:] if lines > 0 else []


def follow_log(folder: Path) -> Iterator[str]:
    """Yield the lines that are added to the log from now on, for ever."""
    path, place = folder / LOG_FILE, _size(folder / LOG_FILE)
    while True:
        if _size(path) < place:
            place = 0  # a new file was begun
        if _size(path) > place:
            with path.open("rb") as file:
                file.seek(place)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            place += len(whole)
            yield from whole.decode(errors="replace").splitlines()
        time.sleep(_POLL_SECONDS)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
