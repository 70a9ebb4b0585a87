"""A folder on a disk that has become read-only, or full, for this process."""

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class FailingDisk:
    """Lets every change below a folder fail until `mend`."""

    def __init__(self, folder: Path, error: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = str(folder)
        self._error = error
        self.is_failing = True
        for name in ("mkdir", "unlink", "rename", "replace", "rmdir", "truncate", "link"):
            monkeypatch.setattr(os, name, self._guard(getattr(os, name)))
        real_open, real_io_open, real_write = os.open, io.open, os.write

        def open_descriptor(path: Any, flags: int, *rest: Any, **options: Any) -> int:
            if flags & _WRITES and not (error == errno.ENOSPC and Path(path).exists()):
                self._check(path)
            return real_open(path, flags, *rest, **options)

        def open_file(path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            if set(mode) & set("wxa+"):
                self._check(path)
            return real_io_open(path, mode, *rest, **options)

        def write(descriptor: int, data: bytes) -> int:
            self._check(Path(f"/proc/self/fd/{descriptor}").readlink())
            return real_write(descriptor, data)

        monkeypatch.setattr(os, "open", open_descriptor)
        monkeypatch.setattr(io, "open", open_file)
        monkeypatch.setattr(os, "write", write)

    def mend(self) -> None:
        """Let changes succeed again."""
        self.is_failing = False

    def _guard(self, real: Any) -> Any:
        def call(path: Any, *rest: Any, **options: Any) -> Any:
            is_mkdir = real.__name__ == "mkdir"
            fails = not Path(path).exists() if is_mkdir else self._error != errno.ENOSPC
            if fails:
                self._check(path)
            return real(path, *rest, **options)

        return call

    def _check(self, path: Any) -> None:
        if self.is_failing and str(path).startswith(self._folder):
            raise OSError(self._error, os.strerror(self._error))
