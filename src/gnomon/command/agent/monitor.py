"""What a running agent says of itself: to its status file, and to systemd."""

import logging
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnomon.command.agent.systemd import notify, watchdog_seconds
from gnomon.edge.status_file import write_status_file

if TYPE_CHECKING:
    from gnomon.edge.node_protocol import NodeProtocol

_log = logging.getLogger(__name__)

#: How often the status is looked at, and written although it is the same.
_LOOK_SECONDS = 2.0
_WRITE_SECONDS = 20.0


class DaemonMonitor:
    """Says how an agent is, from one thread.

    Systemd's watchdog gets a sign of life only while all threads of the agent work.
    """

    def __init__(self, node: "NodeProtocol", folder: Path, socket: str) -> None:
        """Say nothing yet.

        Args:
            node: the agent's.
            folder: its data folder.
            socket: the address at which it answers; empty: none.
        """
        self._node = node
        self._folder = folder
        self._about = {"pid": os.getpid(), "started_at": time.time(), "socket": socket}
        self._written: tuple[float, dict[str, Any]] = (0.0, {})
        self._can_write = True
        self.pause_seconds = min(_LOOK_SECONDS, (watchdog_seconds() or 60.0) / 3)

    def tick(self) -> None:
        """Write the status, and give a sign of life."""
        stalled = self._node.stalled()
        status = {**asdict(self._node.status()), **self._about, "stalled": list(stalled)}
        now = time.time()
        written_at, written = self._written
        if status != written or not 0 <= now - written_at < _WRITE_SECONDS:
            self._written = now, status
            self._write({**status, "written_at": now})
            notify(READY=1, STATUS=_summarize(status))
        if not stalled:
            notify(WATCHDOG=1)

    def stop(self) -> None:
        """Say that the agent stops."""
        notify(STOPPING=1, STATUS="stopping")
        now = time.time()
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


def _summarize(status: dict[str, Any]) -> str:
    """Return one line for `systemctl status`."""
    models = ", ".join(version for found in status["models"].values() for version in found)
    parts = [f"serves {models}" if models else "waits for a model"]
    if status["stalled"]:
        parts.append(f"stopped to work: {', '.join(status['stalled'])}")
    if status["last_error"]:
        parts.append(str(status["last_error"]))
    return " ".join("; ".join(parts).split())[:300]
