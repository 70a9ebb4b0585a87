"""Labels as a message for the socket of an agent. No I/O."""

from datetime import datetime
from typing import Any

from gnomon.proto import agent_pb2
from gnomon.runtime.clock import milliseconds, seconds
from gnomon.runtime.errors import InvalidInput

ADD_LABELS = "/gnomon.agent.v1.Labels/Add"


def encode_label(model: str, request_id: str, value: float, at: datetime | float | None) -> Any:
    """Return the request that adds one label.

    Args:
        model: the public model name.
        request_id: of the prediction.
        value: the true value.
        at: when it became known, in the data's own time: epoch seconds or datetime; None: now.

    Raises:
        InvalidInput: a part has another type, or the time is not finite.
    """
    at_unix_ms = None if at is None else milliseconds(seconds(at))
    try:
        label = agent_pb2.Label(
            model=model, request_id=request_id, value=value, at_unix_ms=at_unix_ms
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"the label of request {request_id!r}: {error}") from error
    return agent_pb2.AddLabelsRequest(labels=[label])
