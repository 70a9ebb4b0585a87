"""The event loops of one frontend: a thread and a table each, one queue for Python's calls."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from gnomon.server.serving.native.loop import Call, EventLoop, Queue, Tls
from gnomon.server.serving.native.route_table import NativeRouteTable


class EventLoopGroup:
    """A loop for each table. `bounds` limit each loop; those in bytes limit all together."""

    def __init__(self, tables: Sequence[NativeRouteTable], bounds: Mapping[str, float]) -> None:
        self._bounds = {**bounds, "total_bytes": bounds["total_bytes"] / len(tables)}
        self._tables = tables
        self._queue = Queue(round(bounds["waiting_calls"]))
        self._loops: list[EventLoop] = []
        self._threads: list[threading.Thread] = []

    def start(
        self,
        listener: socket.socket,
        streaming: Iterable[str],
        unary: Iterable[str],
        tls: Tls | None = None,
    ) -> None:
        """Serve a listening socket on one thread for each loop, until `drain`.

        `streaming` and `unary` are the paths of all methods.

        Args:
            listener: the listening socket; one loop accepts, and hands connections to the others.
            streaming: paths of methods with a stream of messages.
            unary: paths of methods with one message.
            tls: certificate and key; None: clear text.
        """
        paths = tuple(streaming), tuple(unary)
        for table in self._tables:
            source = None if self._loops else listener
            self._loops.append(EventLoop(source, table, self._queue, self._bounds, *paths))
            self._loops[-1].join(self._loops[0])
        if tls is not None:
            self.use_tls(tls)
        for number, loop in enumerate(self._loops):
            name = f"native-loop-{number}"
            thread = threading.Thread(target=loop.run, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def use_tls(self, tls: Tls) -> None:
        """Serve new connections with TLS; open ones stay unchanged."""
        for loop in self._loops:
            loop.use_tls(tls)

    def answer(self, answer: Callable[[Call], None]) -> None:
        """Answer calls that the loops decline, until all have ended; on any number of threads."""
        while (call := self._queue.take()) is not None:
            answer(call)

    def drain(self, grace_seconds: float) -> None:
        """Drain all loops; return when all have ended, at the latest after the grace."""
        # The loop that listens comes first, so that ended loops are handed no connection.
        for loop in self._loops:
            loop.drain(grace_seconds)
        for thread in self._threads:
            thread.join()

    @property
    def counts(self) -> Mapping[str, int]:
        """Return what the loops have counted."""
        total: Counter[str] = Counter()
        for counts in self.counts_by_loop:
            total.update(counts)
        return total

    @property
    def tls_faults(self) -> list[tuple[int, str]]:
        """Return for each loop how many handshakes failed, and why its last one did."""
        return [(loop.counts["failed_handshakes"], loop.tls_fault) for loop in self._loops]

    @property
    def counts_by_loop(self) -> Sequence[Mapping[str, int]]:
        """Return what each loop has counted."""
        return [loop.counts for loop in self._loops]
