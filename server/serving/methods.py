"""What the gRPC doors share: how bytes become requests, and how errors become refusals.

What is malformed gets a typed answer at every door alike. The text of an unexpected error stays in
the server's log.
"""

import logging
import secrets
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from gnomon.runtime.errors import GnomonError, InvalidInput
from gnomon.runtime.wire import message_of, status_name, trailing_metadata

_log = logging.getLogger(__name__)

SERVICE = "inference.GRPCInferenceService"


class Refusal(NamedTuple):
    """How a call ends without an answer: gRPC's status by name, message, trailing metadata."""

    status: str
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]


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
