"""Labels over gRPC: the service that an agent's socket has besides the Open Inference Protocol."""

from collections.abc import Callable

from gnomon.proto import agent_pb2

LABEL_SERVICE = "gnomon.agent.v1.Labels"

#: Keeps one label: model, request id, value, and when it became known (epoch seconds; None: now).
AddLabel = Callable[[str, str, float, float | None], None]


def add_labels(add: AddLabel, request: agent_pb2.AddLabelsRequest) -> agent_pb2.AddLabelsResponse:
    """Keep the labels of a request, in order; those before one that is refused are kept.

    Raises:
        GnomonError: what `add` raises.
    """
    for label in request.labels:
        at = label.at_unix_ms / 1000 if label.HasField("at_unix_ms") else None
        add(label.model, label.request_id, label.value, at)
    return agent_pb2.AddLabelsResponse(added=len(request.labels))
