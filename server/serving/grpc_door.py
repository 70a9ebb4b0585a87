"""The grpcio door: the Open Inference Protocol over grpc.aio, over one `Handler`.

Requests are decoded behind the door, so that what is malformed gets a typed answer. Every refusal
carries its code and details in the trailing metadata (`gnomon.runtime.wire`); the text of an
unexpected error stays in the server's log.
"""

import asyncio
import ipaddress
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import ConfigurationError, GnomonError, InvalidInput
from gnomon.runtime.wire import message_of, status_name, trailing_metadata
from gnomon.server.serving.handler import Handler

_log = logging.getLogger(__name__)
_SERVICE = "inference.GRPCInferenceService"

#: A request of a model that usually takes less may run on the event loop, if it is this small:
#: handing it to a thread and back costs about as much as the answer.
_QUICK_SECONDS = 0.001
_SMALL_BYTES = 4_096
_SMOOTHING = 0.1

Answer = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class DoorSettings:
    """Where the door opens and what it bears. A port of 0 takes any that is free.

    Without TLS files the door opens on loopback only. With all three, clients must show a
    certificate of `client_authority_file`.

    Raises:
        ValueError: a figure is out of range, or TLS files are given only in part.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_authority_file: Path | None = None
    message_bytes: int = 16 << 20
    concurrent_streams: int = 64
    threads: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port should be 0 to 65535, got {self.port}")
        for name in ("message_bytes", "concurrent_streams", "threads"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} should be above 0, got {getattr(self, name)}")
        files = (self.certificate_file, self.key_file, self.client_authority_file)
        if any(files) and not all(files):
            raise ValueError(
                "certificate_file, key_file and client_authority_file belong together; give all"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the door."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class GrpcDoor:
    """One listening port; lives within a running event loop."""

    def __init__(self, handler: Handler, settings: DoorSettings) -> None:
        self._handler = handler
        self._settings = settings
        self._seconds: dict[str, float] = {}
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="predict")
        self._server = grpc.aio.server(
            options=(
                ("grpc.max_concurrent_streams", settings.concurrent_streams),
                ("grpc.max_receive_message_length", settings.message_bytes),
                ("grpc.max_send_message_length", settings.message_bytes),
                ("grpc.so_reuseport", 0),
            )
        )
        self._server.add_generic_rpc_handlers((self._methods(),))

    async def open(self) -> str:
        """Listen; return the address as `host:port`.

        Raises:
            ConfigurationError: the address is taken, or not to be opened without authentication.
        """
        host, port = self._settings.host, self._settings.port
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._settings.certificate_file:
                bound = self._server.add_secure_port(address, self._credentials())
            elif self._settings.is_local:
                bound = self._server.add_insecure_port(address)
            else:
                raise ConfigurationError(
                    f"the door will not open on {host!r} for callers without a name: give "
                    "certificate_file, key_file and client_authority_file, or keep to 127.0.0.1 "
                    "behind a proxy that authenticates"
                )
        except (RuntimeError, OSError) as error:
            raise ConfigurationError(f"the door cannot open on {address}: {error}") from error
        await self._server.start()
        return f"{address.rpartition(':')[0]}:{bound}"

    async def close(self, grace_seconds: float) -> None:
        """Take no new calls, let those under way end, then cut what is left after the grace."""
        await self._server.stop(grace_seconds)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _credentials(self) -> Any:
        settings = self._settings
        files = (settings.key_file, settings.certificate_file, settings.client_authority_file)
        key, certificate, authority = (file.read_bytes() for file in files if file)
        return grpc.ssl_server_credentials(
            [(key, certificate)], root_certificates=authority, require_client_auth=True
        )

    def _methods(self) -> Any:
        handler = self._handler
        here: dict[str, tuple[Any, Answer]] = {
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
        methods = {name: self._method(kind, answer) for name, (kind, answer) in here.items()}
        methods["ModelInfer"] = grpc.unary_unary_rpc_method_handler(_guarded(self._infer))
        return grpc.method_handlers_generic_handler(_SERVICE, methods)

    def _method(self, kind: Any, answer: Answer) -> Any:
        async def behaviour(data: bytes) -> bytes:
            response: bytes = answer(_decode(kind, data)).SerializeToString()
            return response

        return grpc.unary_unary_rpc_method_handler(_guarded(behaviour))

    async def _infer(self, data: bytes) -> bytes:
        """Predict: at once where the model is known to be quick, else beside the event loop."""
        request = _decode(oip.ModelInferRequest, data)
        usual = self._seconds.get(request.model_name, _QUICK_SECONDS)
        if usual < _QUICK_SECONDS and len(data) < _SMALL_BYTES:
            return self._predict(request)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._predict, request)

    def _predict(self, request: oip.ModelInferRequest) -> bytes:
        started = time.perf_counter()
        response: bytes = self._handler.infer(request).SerializeToString()
        took = time.perf_counter() - started
        usual = self._seconds.get(request.model_name, took)
        self._seconds[request.model_name] = usual + _SMOOTHING * (took - usual)
        return response


def _guarded(behaviour: Callable[[bytes], Awaitable[bytes]]) -> Callable[[bytes, Any], Any]:
    """Return a method's behaviour that tells every failure by its name on the wire."""

    async def guarded(data: bytes, context: Any) -> bytes:
        try:
            return await behaviour(data)
        except Exception as error:
            await _refuse(context, error)
            raise

    return guarded


def _decode(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        name = kind.DESCRIPTOR.full_name
        raise InvalidInput(f"the request is not a valid {name} message") from error


async def _refuse(context: Any, error: Exception) -> None:
    """End the call with the error's name on the wire."""
    if not isinstance(error, GnomonError):
        reference = secrets.token_hex(8)
        _log.error("a call failed (%s)", reference, exc_info=error)
        error = GnomonError(f"the server failed; its log tells why under {reference}")
    status = grpc.StatusCode[status_name(error)]
    await context.abort(status, message_of(error), trailing_metadata(error))
