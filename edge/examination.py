"""Examines new packages in a process of their own, while the node goes on to call its hub.

A model file may take all memory, crash its process, or never end to load. So a package is loaded
and its golden samples are repeated apart from the node first, with a limit of memory and of time.
A package that took too long or crashed is given up until the node starts again.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

import gnomon
from gnomon.edge.examination_worker import ExaminationReply, ExaminationRequest
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import EngineError, PackageError, StorageError
from gnomon.runtime.packages.package import FORMATS_THAT_RUN_CODE

#: A model may take this many times its files, besides the limit of memory.
_TIMES_FILES = 8
_LAST_CHARACTERS = 300
#: The program imports the very code that this process runs, wherever that is.
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from gnomon.edge.examination_worker import main; main()"
)


class PackageExaminer:
    """Examines packages one after the other; for one thread.

    Args:
        folder: of the installed packages, each named by its digest.
        seconds: how long one may take; 0: none is examined apart.
        memory_bytes: how much memory one may take, besides eight times the size of its files.
        clock: seconds that only rise.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float,
        memory_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._clock = clock
        self._passed: set[str] = set()
        self._given_up: dict[str, str] = {}
        self._running: _Examination | None = None

    def examine(self, package: hub_pb2.PackageRef, wait_seconds: float) -> bool:
        """Return whether a package has passed; if not, it is still examined after `wait_seconds`.

        Raises:
            PackageError: it cannot be used, as the process said.
            EngineError: it took too long or crashed, now or before.
            StorageError: no process can be started.
        """
        digest = package.digest
        if digest in self._passed or not self._is_examined(package):
            return True
        if digest in self._given_up:
            raise EngineError(self._given_up[digest])
        if self._running is None or self._running.digest != digest:
            self.stop()
            self._running = self._start(package)
        error = self._running.wait(min(wait_seconds, self._running.ends_at - self._clock()))
        if error is None and self._clock() < self._running.ends_at:
            return False
        name, failure = f"{package.name}@{package.version}", self._running.failure
        self.stop()
        if error is None:
            failure = f"it was not loaded and tried after {self._seconds:g} s"
        if failure:
            self._given_up[digest] = f"{name}: {failure}; given up until the node is restarted"
            raise EngineError(self._given_up[digest])
        if error:
            raise PackageError(error)
        self._passed.add(digest)
        return True

    def stop(self, keep: Iterable[str] = ()) -> None:
        """End the examination that runs, unless it is of one of these packages (digests)."""
        if self._running is not None and self._running.digest not in set(keep):
            self._running.end()
            self._running = None

    def _is_examined(self, package: hub_pb2.PackageRef) -> bool:
        """Whether the package is examined apart: models that run code have their own process."""
        return bool(
            self._seconds > 0 and sys.executable and package.format not in FORMATS_THAT_RUN_CODE
        )

    def _start(self, package: hub_pb2.PackageRef) -> "_Examination":
        path = self._folder / package.digest
        size = sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
        memory = self._memory_bytes + _TIMES_FILES * size
        request = ExaminationRequest(str(path.absolute()), memory, self._seconds)
        try:
            return _Examination(package.digest, request, self._clock() + self._seconds)
        except OSError as error:
            raise StorageError(
                f"no process can be started to examine {package.name}@{package.version}: {error}"
            ) from error


class _Examination:
    """One process, which is ended with all that it has started."""

    def __init__(self, digest: str, request: ExaminationRequest, ends_at: float) -> None:
        self.digest = digest
        self.ends_at = ends_at
        self.failure = ""
        self._empty = TemporaryDirectory(prefix="gnomon-empty-")
        source = str(Path(gnomon.__file__).parent.parent)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _PROGRAM, source],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._empty.name,
                env={},
                start_new_session=True,
            )
        except OSError:
            self._empty.cleanup()
            raise
        self._input: bytes | None = msgspec.json.encode(request)

    def wait(self, seconds: float) -> str | None:
        """Return the error of the package, empty for none; None: it is not known yet."""
        try:
            output, errors = self._process.communicate(self._input, timeout=max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            self._input = None
            return None
        try:
            return msgspec.json.decode(output, type=ExaminationReply).error
        except msgspec.DecodeError:
            last = errors.decode(errors="replace").strip().rpartition("\n")[2]
            code = self._process.returncode
            self.failure = f"its process ended with {code} {last[:_LAST_CHARACTERS]}".rstrip()
            return self.failure

    def end(self) -> None:
        """End the process, if it has not ended."""
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._empty.cleanup()
