"""Decoding of requests and encoding of errors, shared by the gRPC frontends.

A malformed request gets the same typed error at every frontend. The text of an unexpected error
stays in the server's log.
"""

import enum
import logging
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from gnomon.proto import agent_pb2
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import GnomonError, InvalidInput, NotServed
from gnomon.runtime.wire import message_of, status_name, trailing_metadata
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.labels import LABEL_SERVICE, add_labels

_log = logging.getLogger(__name__)

SERVICE = "inference.GRPCInferenceService"


Answer = Callable[[Any], Any]


class Access(enum.Enum):
    """Which callers a method allows: all, authenticated ones, those that may control models."""

    OPEN = "open"
    NAMED = "named"
    CONTROL = "control"


class Method(NamedTuple):
    """A call of one request and one answer."""

    kind: Any
    answer: Answer
    access: Access = Access.NAMED

    def respond(self, data: bytes) -> bytes:
        """Return the bytes of the answer to those of a request.

        Raises:
            InvalidInput: the bytes do not encode a request.
            GnomonError: what the call raises.
        """
        encoded: bytes = self.answer(decode(self.kind, data)).SerializeToString()
        return encoded


class Refusal(NamedTuple):
    """How a call ends without an answer: gRPC's status by name, message, trailing metadata."""

    status: str
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]


def services(handler: Handler) -> dict[str, Mapping[str, Method]]:
    """Return the calls of each service by name, but for those that predict."""
    found: dict[str, Mapping[str, Method]] = {SERVICE: methods(handler)}
    if handler.add_label is not None:
        answer = partial(add_labels, handler.add_label)
        found[LABEL_SERVICE] = {"Add": Method(agent_pb2.AddLabelsRequest, answer)}
    return found


def methods(handler: Handler) -> dict[str, Method]:
    """Return all calls of one request and one answer by name, but for `ModelInfer`."""
    repository = handler.repository
    return {
        "ServerLive": Method(
            oip.ServerLiveRequest, lambda _: oip.ServerLiveResponse(live=True), Access.OPEN
        ),
        "ServerReady": Method(
            oip.ServerReadyRequest,
            lambda _: oip.ServerReadyResponse(ready=handler.server_ready()),
            Access.OPEN,
        ),
        "ModelReady": Method(
            oip.ModelReadyRequest,
            lambda request: oip.ModelReadyResponse(ready=handler.model_ready(request)),
        ),
        "ServerMetadata": Method(oip.ServerMetadataRequest, lambda _: handler.server_metadata()),
        "ModelMetadata": Method(oip.ModelMetadataRequest, handler.model_metadata),
        "ModelConfig": Method(oip.ModelConfigRequest, handler.model_config),
        "ModelStatistics": Method(oip.ModelStatisticsRequest, handler.model_statistics),
        "RepositoryIndex": Method(oip.RepositoryIndexRequest, repository.index),
        "RepositoryModelLoad": Method(
            oip.RepositoryModelLoadRequest, repository.load, Access.CONTROL
        ),
        "RepositoryModelUnload": Method(
            oip.RepositoryModelUnloadRequest, repository.unload, Access.CONTROL
        ),
        **_UNSERVED,
    }


def _nothing(_request: Any) -> Any:
    return oip.Empty()


def _refused(why: str) -> Answer:
    def answer(_request: Any) -> Any:
        raise NotServed(why)

    return answer


#: Why calls are not served, at every frontend.
NO_MEMORY = "memory that clients hand in is never read; send the tensors in the request itself"
NO_SETTINGS = "log and trace settings are the operator's, made where the server is started"
#: Triton's calls about shared memory and settings. No region is ever registered, so to list them
#: and to forget them is easily answered.
_UNSERVED: Mapping[str, Method] = {
    name: Method(oip.Unserved, answer)
    for name, answer in (
        ("SystemSharedMemoryStatus", _nothing),
        ("SystemSharedMemoryRegister", _refused(NO_MEMORY)),
        ("SystemSharedMemoryUnregister", _nothing),
        ("CudaSharedMemoryStatus", _nothing),
        ("CudaSharedMemoryRegister", _refused(NO_MEMORY)),
        ("CudaSharedMemoryUnregister", _nothing),
        ("TraceSetting", _refused(NO_SETTINGS)),
        ("LogSettings", _refused(NO_SETTINGS)),
    )
}


def decode(kind: Any, data: bytes) -> Any:
    """Return the message of a kind that the bytes encode.

    Raises:
        InvalidInput: the bytes do not encode one.
    """
    try:
        return kind.FromString(data)
    except DecodeError as error:
        name = kind.DESCRIPTOR.full_name
        raise InvalidInput(f"the request is not a valid {name} message") from error


def digest_of(response: oip.ModelInferResponse) -> str:
    """Return which package has answered."""
    return str(response.parameters["gnomon_digest"].string_param)


def refusal_of(error: Exception) -> Refusal:
    """Return how an error ends a call; the text of an unexpected one stays in the server's log."""
    if not isinstance(error, GnomonError):
        reference = secrets.token_hex(8)
        _log.error("a call failed (%s)", reference, exc_info=error)
        error = GnomonError(f"the server failed; its log tells why under {reference}")
    return Refusal(status_name(error), message_of(error), trailing_metadata(error))
