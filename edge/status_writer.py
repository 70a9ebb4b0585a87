"""Writes how a node is to its data folder, for `gnomon agent status`: now and then, in no call.

The status is looked at every two seconds. It is written if it has changed, else every 20 seconds.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnomon.edge.status_file import write_status_file

if TYPE_CHECKING:
    from gnomon.edge.node_protocol import NodeProtocol

__all__ = ["LOOK_SECONDS", "StatusThread", "StatusWriter"]

_log = logging.getLogger(__name__)

#: How often the status is looked at, and written although it is the same.
LOOK_SECONDS = 2.0
_WRITE_SECONDS = 20.0


class StatusWriter:
    """Writes the status of one node; for one thread. A disk that cannot be written stops nothing.

    Args:
        node: whose status it is.
        folder: its data folder.
        about: further entries that stay the same.
        clock: epoch seconds.
    """

    def __init__(
        self,
        node: "NodeProtocol",
        folder: Path,
        about: Mapping[str, Any],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._folder = folder
        self._clock = clock
        self._about = {"pid": os.getpid(), "started_at": clock(), "socket": "", **about}
        self._written: tuple[float, dict[str, Any]] = (0.0, {})
        self._can_write = True

    def tick(self) -> dict[str, Any] | None:
        """Write the status if it has changed or is old; return it, or None if there is no need."""
        stalled = list(self._node.stalled())
        status = {**asdict(self._node.status()), **self._about, "stalled": stalled}
        now = self._clock()
        written_at, written = self._written
        if status == written and 0 <= now - written_at < _WRITE_SECONDS:
            return None
        self._written = now, status
        self._write({**status, "written_at": now})
        return status

    def stop(self) -> None:
        """Write that the node stops."""
        now = self._clock()
        self._write({**self._written[1], "written_at": now, "stopped_at": now})

    def _write(self, status: dict[str, Any]) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_status_file(self._folder, status)
            self._can_write = True
        except OSError as error:
            if self._can_write:
                _log.warning("the status cannot be written to %s: %s", self._folder, error)
            self._can_write = False


class StatusThread:
    """Writes the status of a node that another program embeds, until it is stopped."""

    def __init__(self, node: "NodeProtocol", folder: Path) -> None:
        self._writer = StatusWriter(node, folder, {})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node-status", daemon=True)

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write that the node stops; the thread has ended then. A second call does nothing."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._writer.tick()
                self._stop.wait(LOOK_SECONDS)
            self._writer.tick()
            self._writer.stop()
        except Exception:
            _log.exception("the status is written no more")
