"""Child processes of the demo, with a log file each, controlled by lines of JSON."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any

from gnomon.runtime.errors import NotReady

_READY_SECONDS = 90


class Process:
    """One `python …` process; its first line of output is JSON and says that it is ready."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self._log = log
        self._lines: Queue[str | None] = Queue()
        with log.open("ab") as errors:
            self._popen = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        threading.Thread(target=self._read, daemon=True, name=f"read {name}").start()

    def wait_ready(self) -> dict[str, Any]:
        """Wait for the first line of output, which says that the process is ready; return it.

        Raises:
            NotReady: when it does not come.
        """
        return self.answer(_READY_SECONDS)

    def _read(self) -> None:
        """Put each line of output into the queue, and None at the end."""
        if self._popen.stdout is not None:
            for line in self._popen.stdout:
                self._lines.put(line)
        self._lines.put(None)

    def answer(self, seconds: float) -> dict[str, Any]:
        """Return the next line of output.

        Raises:
            NotReady: when the process has ended or says nothing in time; with the end of its log.
        """
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            raise NotReady(f"{self.name} was silent for {seconds:.0f} s{self._tail()}") from None
        if line is None:
            raise NotReady(f"{self.name} ended with {self._popen.wait()}{self._tail()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def tell(self, command: Mapping[str, Any]) -> None:
        """Send one command; its answer is fetched by `answer`, so that others can work meanwhile.

        Raises:
            NotReady: when the process no longer listens.
        """
        if self._popen.stdin is None or self._popen.poll() is not None:
            raise NotReady(f"{self.name} is not running{self._tail()}")
        self._popen.stdin.write(json.dumps(command) + "\n")
        self._popen.stdin.flush()

    def ask(self, command: Mapping[str, Any], *, seconds: float = 120) -> dict[str, Any]:
        """Send one command and return its answer."""
        self.tell(command)
        return self.answer(seconds)

    def kill(self) -> None:
        """Kill the process without a shutdown."""
        self._popen.send_signal(signal.SIGKILL)
        self._popen.wait()

    def stop(self, seconds: float = 20) -> int:
        """Terminate the process (SIGTERM), and return its exit code."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            # Waits for a command: the end of its input wakes the thread that handles the signal.
            self._close(self._popen.stdin)
            try:
                self._popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        for pipe in (self._popen.stdin, self._popen.stdout):
            self._close(pipe)
        return self._popen.returncode

    @staticmethod
    def _close(pipe: IO[str] | None) -> None:
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._popen.poll() is None

    def _tail(self) -> str:
        """Return the last lines of the log, for an error message."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
        return "".join(f"\n  {line}" for line in lines)
