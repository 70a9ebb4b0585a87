"""The Python side of the native frontend: all methods, and requests that C declines."""

import logging
import time
from collections.abc import Iterable

from grpc_health.v1 import health_pb2

from gnomon.proto import inference_pb2 as oip
from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.admission.admitted_call import AdmittedCall
from gnomon.server.serving.admission.authentication import Caller
from gnomon.server.serving.call_timer import CallTimer
from gnomon.server.serving.compression import unpack
from gnomon.server.serving.grpc_trailers import trailers_of
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.methods import (
    SERVICE,
    Access,
    Refusal,
    decode,
    digest_of,
    refusal_of,
    services,
)
from gnomon.server.serving.native.loop import Call
from gnomon.server.serving.native.offload_pool import OffloadPool
from gnomon.server.serving.native.streaming_calls import StreamingCalls

_log = logging.getLogger(__name__)

_INFER = f"/{SERVICE}/ModelInfer"
_HEALTH = "/grpc.health.v1.Health/Check"
_UNKNOWN = Refusal("UNIMPLEMENTED", "Method not found!", ())


class NativeCallHandler:
    """Answers calls. Threads may share it; each answers one call at a time."""

    def __init__(
        self, handler: Handler, admission: Admission, message_bytes: int, threads: int
    ) -> None:
        self._handler = handler
        self._admission = admission
        self._message_bytes = message_bytes
        self._slow = OffloadPool(threads, CallTimer(handler.runtime.works_in_caller))
        self._methods = {
            f"/{service}/{name}": method
            for service, named in services(handler).items()
            for name, method in named.items()
        }
        self._streams = StreamingCalls(
            handler,
            self._message,
            self._caller,
            self._infer,
            tells_of_itself=not admission.authentication.needs_keys,
        )
        self._turns = self._streams.turns

    @property
    def unary(self) -> Iterable[str]:
        """Return the paths of the methods of one message."""
        return (*self._methods, _INFER, _HEALTH)

    @property
    def streaming(self) -> Iterable[str]:
        """Return the paths of the streaming methods."""
        return tuple(self._turns)

    def answer(self, call: Call) -> None:
        """Answer or refuse a call; never raises."""
        try:
            if call.is_streaming:
                self._turns[call.path](call)
            elif call.path == _INFER:
                self._predict(call)
            elif call.path == _HEALTH:
                self._check_health(call)
            elif call.path not in self._methods:
                call.refuse(trailers_of(_UNKNOWN))
            else:
                method = self._methods[call.path]
                self._check(call, method.access)
                call.answer(method.respond(self._message(call)))
        except Exception as error:
            _refuse(call, error)

    def close(self) -> None:
        """End the streaming calls, each once its message is answered."""
        self._streams.close()

    def stop(self) -> None:
        """Stop the threads, once there are no more calls."""
        self._slow.close()

    def _predict(self, call: Call) -> None:
        """Answer a prediction: here, or in the offload pool if its model is slow."""
        request = decode(oip.ModelInferRequest, self._message(call))
        model = request.model_name

        def answer() -> None:
            try:
                call.answer(self._infer(call, request).SerializeToString())
            except Exception as error:
                _refuse(call, error)

        if not self._handler.has_route(model):
            answer()
        elif self._slow.is_slow(model):
            self._slow.put(model, answer)
        else:
            self._slow.timed(model, answer)

    def _caller(self, call: Call) -> Caller:
        """Return the caller. Raises as `Admission.identify`."""
        key, name = call.authorization, call.certificate_name
        return self._admission.identify(
            None if key is None else key.decode("latin-1"),
            None if name is None else name.decode(errors="replace"),
        )

    def _check(self, call: Call, access: Access) -> None:
        """Admit a call that is not a prediction."""
        if access is Access.OPEN:
            return
        caller = self._caller(call)
        if access is Access.CONTROL:
            self._admission.check_control(caller, call.path.rpartition("/")[2])

    def _infer(self, call: Call, request: oip.ModelInferRequest) -> oip.ModelInferResponse:
        caller = self._caller(call)
        admitted = AdmittedCall("native", request.model_name, request.id)
        with self._admission.admit(caller, admitted):
            admitted.read_ns = time.perf_counter_ns()
            since = admitted.read_ns - call.waited_ns
            response = self._handler.infer(request, since, call.position)
            admitted.answered(response.model_version, digest_of(response))
        return response

    def _check_health(self, call: Call) -> None:
        request = decode(health_pb2.HealthCheckRequest, self._message(call))
        if request.service not in ("", SERVICE):
            call.refuse(trailers_of(Refusal("NOT_FOUND", "unknown service", ())))
            return
        kind = health_pb2.HealthCheckResponse
        status = kind.SERVING if self._handler.server_ready() else kind.NOT_SERVING
        call.answer(kind(status=status).SerializeToString())

    def _message(self, call: Call) -> bytes:
        # Only the end of a streaming call has no message.
        return unpack(call.encoding, call.message or b"", self._message_bytes)


def _refuse(call: Call, error: Exception) -> None:
    try:
        call.refuse(trailers_of(refusal_of(error)))
    except Exception:
        _log.exception("a call could not be refused")
