"""What the gRPC doors share: how bytes become requests, and how errors become refusals.

What is malformed gets a typed answer at every door alike. The text of an unexpected error stays in
the server's log.
"""

import logging
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import GnomonError, InvalidInput
from gnomon.runtime.wire import message_of, status_name, trailing_metadata
from gnomon.server.serving.handler import Handler

_log = logging.getLogger(__name__)

SERVICE = "inference.GRPCInferenceService"


Answer = Callable[[Any], Any]


class Refusal(NamedTuple):
    """How a call ends without an answer: gRPC's status by name, message, trailing metadata."""

    status: str
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]


def answers(handler: Handler) -> dict[str, tuple[Any, Answer]]:
    """Return the kind of request and the answer of each method, but for `ModelInfer`, by name."""
    return {
        "ServerLive": (oip.ServerLiveRequest, lambda _: oip.ServerLiveResponse(live=True)),
        "ServerReady": (
            oip.ServerReadyRequest,
            lambda _: oip.ServerReadyResponse(ready=handler.server_ready()),
        ),
        "ModelReady": (
            oip.ModelReadyRequest,
            lambda request: oip.ModelReadyResponse(ready=handler.model_ready(request)),
        ),
        "ServerMetadata": (oip.ServerMetadataRequest, lambda _: handler.server_metadata()),
        "ModelMetadata": (oip.ModelMetadataRequest, handler.model_metadata),
    }


def decode(kind: Any, data: bytes) -> Any:
    """Return a message of a kind.

    Raises:
        InvalidInput: the bytes are none.
    """
    try:
        return kind.FromString(data)
    except DecodeError as error:
        name = kind.DESCRIPTOR.full_name
        raise InvalidInput(f"the request is not a valid {name} message") from error


def refusal_of(error: Exception) -> Refusal:
    """Return how an error ends a call; the text of an unexpected one stays in the server's log."""
    if not isinstance(error, GnomonError):
        reference = secrets.token_hex(8)
        _log.error("a call failed (%s)", reference, exc_info=error)
        error = GnomonError(f"the server failed; its log tells why under {reference}")
    return Refusal(status_name(error), message_of(error), trailing_metadata(error))
