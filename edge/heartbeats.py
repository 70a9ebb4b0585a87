"""Which threads of a node still work: each says, before it goes on, when it is heard of next."""

import threading
import time
from collections.abc import Callable


class Heartbeats:
    """The threads of a node by name; any thread may call any method."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Know no thread yet; `clock` gives seconds that only rise."""
        self._clock = clock
        self._lock = threading.Lock()
        self._due: dict[str, float] = {}

    def beat(self, name: str, seconds: float) -> None:
        """Say that a thread works, and that it is heard of again within this time, in seconds."""
        with self._lock:
            self._due[name] = self._clock() + seconds

    def stalled(self) -> tuple[str, ...]:
        """Return the threads that were not heard of in their time."""
        with self._lock:
            now = self._clock()
            return tuple(sorted(name for name, due in self._due.items() if now > due))
