"""What a running agent says of itself: to its status file, and to systemd."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnomon.command.agent.systemd import notify, watchdog_seconds
from gnomon.edge.status_writer import LOOK_SECONDS, StatusWriter

if TYPE_CHECKING:
    from gnomon.edge.node_protocol import NodeProtocol


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
        self._writer = StatusWriter(node, folder, {"socket": socket})
        self.pause_seconds = min(LOOK_SECONDS, (watchdog_seconds() or 60.0) / 3)

    def tick(self) -> None:
        """Write the status, and give a sign of life."""
        status = self._writer.tick()
        if status is not None:
            notify(READY=1, STATUS=_summarize(status))
        if not self._node.stalled():
            notify(WATCHDOG=1)

    def stop(self) -> None:
        """Say that the agent stops."""
        notify(STOPPING=1, STATUS="stopping")
        self._writer.stop()


def _summarize(status: dict[str, Any]) -> str:
    """Return one line for `systemctl status`."""
    models = ", ".join(version for found in status["models"].values() for version in found)
    parts = [f"serves {models}" if models else "waits for a model"]
    if status["stalled"]:
        parts.append(f"stopped to work: {', '.join(status['stalled'])}")
    if status["last_error"]:
        parts.append(str(status["last_error"]))
    return " ".join("; ".join(parts).split())[:300]
