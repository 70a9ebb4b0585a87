"""SIGTERM and SIGINT as an event of the main thread, whichever thread the system hands them to."""

import select
import signal
import socket
import threading
import time
from types import TracebackType

__all__ = ["StopSignals"]

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """An event that SIGTERM and SIGINT set while the context is open; for the main thread only.

    A signal that arrives while the process is stopped (Ctrl-Z, SIGSTOP) goes to any thread when it
    continues. An event that the main thread waits for is then not looked at, perhaps for ever: only
    the interpreter's wake-up socket tells of a signal at once.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self._former = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._handlers = {
            number: signal.signal(number, lambda *_: self._event.set()) for number in _NUMBERS
        }

    def __enter__(self) -> "StopSignals":
        """Return itself: the signals are caught since it was made."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Have the signals do what they did before."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former)
        self._woken.close()
        self._waker.close()

    def is_set(self) -> bool:
        """Whether a signal has come."""
        return self._event.is_set()

    def set(self) -> None:
        """Behave as if a signal had come."""
        self._event.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for a signal, at most for `seconds`; return whether one has come."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._event.is_set():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            if select.select([self._woken], [], [], left)[0]:
                self._woken.recv(4_096)
        return self._event.is_set()
