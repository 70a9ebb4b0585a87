"""Single calls of a server before a run: a model's tensors, and the answer to each row."""

import http.client
import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import grpc

from gnomon.bench.load.target import LoadTarget, TargetUnavailable
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import ConfigurationError

__all__ = ["ModelClient", "ServedModel", "ServedTensor"]

SECONDS = 10.0
SERVICE = "/inference.GRPCInferenceService"
#: Statuses of a server that is not there, or does not speak the protocol.
_LOST = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
)


@dataclass(frozen=True)
class ServedTensor:
    """A tensor: its name, its datatype in the protocol's words, its shape with -1 for any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ServedModel:
    """A model's tensors; `fields` has the JSON schema of each input if the server tells it."""

    name: str
    inputs: tuple[ServedTensor, ...]
    outputs: tuple[ServedTensor, ...]
    fields: dict[str, Any] = field(default_factory=dict)


class ModelClient:
    """One connection of a plain client; use it in a `with` statement, from one thread.

    Its methods raise `TargetUnavailable` if the server does not answer, or not as the protocol
    says, and `ConfigurationError` if it refuses the call.
    """

    def __init__(self, target: LoadTarget) -> None:
        self._target = target
        self._channel: Any = None
        if target.is_grpc:
            options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
            self._channel = grpc.insecure_channel(target.address, options=options)
        self._http = http.client.HTTPConnection(target.address, timeout=SECONDS)

    def __enter__(self) -> "ModelClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._channel is not None:
            self._channel.close()
        self._http.close()

    def read_model(self, name: str) -> ServedModel:
        """Return a model's tensors, as the server describes them."""
        if self._channel is not None:
            request = oip.ModelMetadataRequest(name=name).SerializeToString()
            answer = self._call_grpc("ModelMetadata", request)
            found = oip.ModelMetadataResponse.FromString(answer)
            inputs, outputs = (
                tuple(ServedTensor(one.name, one.datatype, tuple(one.shape)) for one in side)
                for side in (found.inputs, found.outputs)
            )
            return ServedModel(name, inputs, outputs)
        return self._read_by_rest(name)

    def infer(self, name: str, request: bytes) -> bytes:
        """Send a message of gRPC or a JSON document; return the answer, of gRPC without prefix."""
        if self._channel is not None:
            return self._call_grpc("ModelInfer", request)
        status, body = self._call_rest("POST", f"/v2/models/{name}/infer", request)
        if not 200 <= status <= 299:
            raise ConfigurationError(
                f"{self._target.address} refuses a request with {status}: {_reason(body)}"
            )
        return body

    def _read_by_rest(self, name: str) -> ServedModel:
        path = f"/v2/models/{name}"
        status, body = self._call_rest("GET", path)
        found = _parse(body)
        if status == 404:
            raise ConfigurationError(
                f"{self._target.address} has no model {name!r}: {_reason(body)}"
            )
        try:
            inputs, outputs = (
                tuple(
                    ServedTensor(one["name"], one["datatype"], tuple(one["shape"]))
                    for one in found[side]
                )
                for side in ("inputs", "outputs")
            )
        except (KeyError, TypeError) as error:
            raise TargetUnavailable(
                f"{self._target.address} does not answer as the protocol says: GET {path} gave "
                f"{status}: {_reason(body)}"
            ) from error
        return ServedModel(name, inputs, outputs, self._fields(name))

    def _fields(self, name: str) -> dict[str, Any]:
        """Return the schema of each input of one of our own servers; empty of others."""
        status, body = self._call_rest("GET", "/openapi.json")
        found = _parse(body) if status == 200 else None
        for key in ("components", "schemas", f"{name}.row", "properties"):
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def _call_grpc(self, method: str, request: bytes) -> bytes:
        call = self._channel.unary_unary(f"{SERVICE}/{method}")
        try:
            answer: bytes = call(request, timeout=SECONDS)
        except grpc.RpcError as refused:
            error: Any = refused
            code, words = error.code(), error.details()
            kind = TargetUnavailable if code in _LOST else ConfigurationError
            raise kind(
                f"{self._target.address} answers {method} with {code.name}: {words}"
            ) from refused
        return answer

    def _call_rest(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        try:
            self._http.request(method, path, body, {"content-type": "application/json"})
            answer = self._http.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise TargetUnavailable(f"{self._target.address} does not answer: {error}") from error


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _reason(body: bytes) -> str:
    found = _parse(body)
    for key in ("error", "detail"):
        if isinstance(found, dict) and isinstance(found.get(key), str):
            return str(found[key])
    return body[:200].decode(errors="replace")
