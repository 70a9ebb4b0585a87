"""The grpcio frontend: the Open Inference Protocol over grpc.aio, over one `Handler`.

Requests are decoded by `gnomon.server.serving.methods`, not by grpcio, so that malformed ones get a
typed error. An error's code and details are in the trailing metadata (`gnomon.runtime.wire`).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import grpc

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import ConfigurationError
from gnomon.server.rest.certificates import ChangedFiles, HandshakeLog
from gnomon.server.rest.handshake_watch import HandshakeWatch
from gnomon.server.serving import health
from gnomon.server.serving.admission.admission import Admission, make_admission
from gnomon.server.serving.admission.admitted_call import AdmittedCall
from gnomon.server.serving.admission.authentication import Caller
from gnomon.server.serving.admission.tracing import PARENT_HEADER, STATE_HEADER
from gnomon.server.serving.executor_selector import ExecutorSelector
from gnomon.server.serving.grpc_listener import (
    address_of,
    for_owner_only,
    identity_of,
    make_way,
    remove,
    telling,
)
from gnomon.server.serving.grpcio.infer_stream import InferStream
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.methods import (
    SERVICE,
    Access,
    Method,
    decode,
    digest_of,
    refusal_of,
    services,
)
from gnomon.server.serving.settings import FrontendSettings

_log = logging.getLogger(__name__)

#: Seconds between attempts to bind the port again.
_AGAIN_SECONDS = 0.2


class GrpcFrontend:
    """One listening port; lives within a running event loop."""

    def __init__(
        self, handler: Handler, settings: FrontendSettings, admission: Admission | None = None
    ) -> None:
        self._handler = handler
        self._settings = settings
        self._admission = admission or make_admission(settings, handler)
        self._executor = ExecutorSelector(settings.threads, handler.runtime)
        self._stream = InferStream(self._caller, self._infer_in_turn)
        self._server = self._make_server()
        self._socket: tuple[int, int] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._is_closing = False
        self.watch = HandshakeWatch(HandshakeLog("grpcio"))

    def _make_server(self) -> Any:
        settings = self._settings
        server = grpc.aio.server(
            options=(
                ("grpc.max_concurrent_streams", settings.concurrent_streams),
                ("grpc.max_receive_message_length", settings.message_bytes),
                ("grpc.max_send_message_length", settings.message_bytes),
                ("grpc.so_reuseport", int(settings.share_port)),
                *_times(settings),
            )
        )
        server.add_generic_rpc_handlers(tuple(self._services()))
        health.install(server, self._handler, SERVICE)
        if not self._admission.authentication.needs_keys:
            health.install_reflection(server, SERVICE)
        return server

    async def open(self) -> str:
        """Listen; return the address as clients of gRPC write it.

        Raises:
            ConfigurationError: the address is taken, or not to be opened without authentication.
        """
        if not self._settings.is_grpc_local:
            self._settings.check_reach()
        address = await self._listen()
        self._keeper = asyncio.create_task(self._keep_open())
        return address

    async def _listen(self) -> str:
        with telling(self._settings):
            bound = self._bind()
        await self._server.start()
        path = self._settings.socket_path
        if path is not None:
            self._socket = identity_of(path)
        else:
            # If any port was allowed, keep the one that was bound.
            self._settings = replace(self._settings, port=bound)
        return address_of(self._settings)

    async def _keep_open(self) -> None:
        """Open again if grpcio ends unexpectedly; one path that is not UTF-8 makes it end."""
        while True:
            try:
                await self._server.wait_for_termination()
                return
            except Exception as error:
                if self._is_closing:
                    return
                _log.error("grpcio ended unexpectedly (%r); reopening the frontend", error)
            await self._server.stop(None)
            self._server = self._make_server()
            await self._listen_again()

    async def _listen_again(self) -> None:
        while not self._is_closing:
            try:
                await self._listen()
                return
            except ConfigurationError as error:
                _log.error("the frontend is not open: %s", error)
                await asyncio.sleep(_AGAIN_SECONDS)
                self._server = self._make_server()

    def _bind(self) -> int:
        """Bind; return the port."""
        settings, address = self._settings, address_of(self._settings)
        if settings.socket_path is not None:
            # Never shared: grpcio removes the path when it stops, even if another server uses it.
            make_way(settings.socket_path, is_shared=False)
        with for_owner_only() if settings.socket_path else nullcontext():
            if settings.certificate_file:
                return int(self._server.add_secure_port(address, self._credentials()))
            return int(self._server.add_insecure_port(address))

    async def close(self, grace_seconds: float) -> None:
        """Take no new calls, let those under way end, then cut what is left after the grace."""
        # The keeper is not cancelled: it waits for the same future as grpcio itself.
        self._is_closing = True
        if self._settings.socket_path is not None:
            remove(self._settings.socket_path, self._socket)
        self._stream.close()
        await self._server.stop(grace_seconds)
        self._executor.close()

    def _credentials(self) -> Any:
        """Return credentials that reload the files when they change."""
        changed = ChangedFiles(self._settings.tls_files)

        def renewed() -> Any:
            self.watch.begin()
            try:
                return self._certificates() if changed.have_changed() else None
            except OSError:
                # The files are being written; keep the old ones.
                return None

        return grpc.dynamic_ssl_server_credentials(
            self._certificates(),
            renewed,
            require_client_authentication=self._settings.client_authority_file is not None,
        )

    def _certificates(self) -> Any:
        settings = self._settings
        files = (settings.key_file, settings.certificate_file, settings.client_authority_file)
        key, certificate, authority = (file.read_bytes() if file else None for file in files)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], authority)

    def _services(self) -> Iterator[Any]:
        for service, named in services(self._handler).items():
            handlers = {name: self._method(name, one) for name, one in named.items()}
            if service == SERVICE:
                handlers["ModelInfer"] = grpc.unary_unary_rpc_method_handler(_guarded(self._infer))
                handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
                    _guarded(self._stream.serve)
                )
            yield grpc.method_handlers_generic_handler(service, handlers)

    def _method(self, name: str, method: Method) -> Any:
        async def behaviour(data: bytes, context: Any) -> bytes:
            if method.access is Access.OPEN:
                return method.respond(data)
            caller = self._caller(context)
            if method.access is Access.NAMED:
                return method.respond(data)
            self._admission.check_control(caller, name)
            # Loading a model may take long.
            return await asyncio.to_thread(method.respond, data)

        return grpc.unary_unary_rpc_method_handler(_guarded(behaviour))

    def _caller(self, context: Any) -> Caller:
        """Return the caller.

        Raises:
            Unauthenticated: the caller is unknown.
        """
        key = certificate = None
        if self._settings.certificate_file:
            self.watch.note_call(context.peer())
        if self._admission.authentication.needs_keys:
            given = context.invocation_metadata() or ()
            # What comes more than once is one list (RFC 9110, 5.2), and that is no credential.
            shown = [str(value) for name, value in given if name == "authorization"]
            key = ", ".join(shown) if shown else None
        if self._settings.client_authority_file:
            names = context.auth_context().get("x509_common_name", (b"",))
            certificate = names[0].decode(errors="replace")
        return self._admission.identify(key, certificate)

    async def _infer(self, data: bytes, context: Any) -> bytes:
        caller = self._caller(context)
        request = decode(oip.ModelInferRequest, data)
        response = await self._infer_in_turn(
            caller, request, len(data), "ModelInfer", self._parent(context)
        )
        encoded: bytes = response.SerializeToString()
        return encoded

    def _parent(self, context: Any) -> tuple[str, str]:
        """Return the parent span's headers if tracing is on."""
        if not self._settings.traces:
            return "", ""
        metadata = dict(context.invocation_metadata() or ())
        return str(metadata.get(PARENT_HEADER, "")), str(metadata.get(STATE_HEADER, ""))

    async def _infer_in_turn(
        self,
        caller: Caller,
        request: oip.ModelInferRequest,
        size: int,
        method: str = "ModelStreamInfer",
        parent: tuple[str, str] = ("", ""),
    ) -> oip.ModelInferResponse:
        """Predict: on the event loop if the model is quick, else on a thread.

        Args:
            caller: who calls.
            request: the message.
            size: its bytes.
            method: that was called; for traces.
            parent: the parent span's headers, or empty.
        """
        call = AdmittedCall("grpc", request.model_name, request.id)
        call.operation = f"{SERVICE}/{method}"
        call.traceparent, call.tracestate = parent
        with self._admission.admit(caller, call):
            call.read_ns = time.perf_counter_ns()
            return await self._executor.run(
                request.model_name, size, lambda: self._predict(request, call)
            )

    def _predict(
        self, request: oip.ModelInferRequest, call: AdmittedCall
    ) -> oip.ModelInferResponse:
        response = self._handler.infer(request, call.read_ns)
        call.answered(response.model_version, digest_of(response))
        call.request_id = response.id
        return response


def _times(settings: FrontendSettings) -> list[tuple[str, int]]:
    """Return grpcio's options for the age and the silence of connections, in milliseconds."""
    times = {
        "grpc.max_connection_age_ms": settings.connection_age_seconds,
        "grpc.keepalive_time_ms": settings.keepalive_seconds,
    }
    return [(name, round(seconds * 1e3)) for name, seconds in times.items() if seconds]


def _guarded(behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Any]:
    """Return a method's behaviour that reports each error by its gRPC status."""

    async def guarded(data: Any, context: Any) -> Any:
        try:
            return await behaviour(data, context)
        except Exception as error:
            refusal = refusal_of(error)
            status = grpc.StatusCode[refusal.status]
            await context.abort(status, refusal.message, refusal.metadata)
            raise

    return guarded
