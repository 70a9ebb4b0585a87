"""What a node is to those who ask it, whether there is a hub behind it or not."""

from datetime import datetime
from typing import Protocol

from gnomon.edge.status import NodeStatus
from gnomon.runtime.runtime import Runtime


class NodeProtocol(Protocol):
    """What doors and agents need of a node, with a hub or without."""

    runtime: Runtime

    def start(self) -> None:
        """Begin."""

    def ready(self, timeout_seconds: float | None = None) -> bool:
        """Wait until some route is in service; return whether one is."""

    def label(
        self, model: str, request_id: str, value: float, at: datetime | float | None = None
    ) -> None:
        """Report what a prediction should have been.

        Args:
            model: the model's name.
            request_id: of the prediction.
            value: what it should have been, in the unit of the output.
            at: when it became known, in the data's own time; None: now.
        """

    def status(self) -> NodeStatus:
        """Return what the node is doing now."""

    def reload(self) -> bool:
        """Look anew at what is to be served; return whether that is in service now."""

    def stop(self) -> None:
        """End; a second call does nothing."""
