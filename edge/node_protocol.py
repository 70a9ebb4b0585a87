"""The interface of a node, with a hub or without."""

from datetime import datetime
from typing import Protocol

from gnomon.edge.status import NodeStatus
from gnomon.runtime.errors import GnomonError
from gnomon.runtime.runtime import Runtime


class NodeProtocol(Protocol):
    """What frontends and agents need of a node."""

    runtime: Runtime

    def start(self) -> None:
        """Start."""

    def ready(self, timeout_seconds: float | None = None) -> bool:
        """Wait until some route is in service; return whether one is."""

    def label(
        self, model: str, request_id: str, value: float, at: datetime | float | None = None
    ) -> None:
        """Report the true value of a prediction.

        Args:
            model: the public model name.
            request_id: of the prediction.
            value: the true value.
            at: when it became known, in the data's own time: epoch seconds or datetime; None: now.
        """

    def status(self) -> NodeStatus:
        """Return what the node is doing now."""

    def stalled(self) -> tuple[str, ...]:
        """Return the threads that do not work any more."""

    def refusal(self) -> GnomonError | None:
        """Return why the node cannot enrol with its settings; None if it has or still may."""

    def reload(self) -> bool:
        """Read the configuration again; return whether it is in service now."""

    def stop(self) -> None:
        """Stop; a second call does nothing."""
