"""Streaming methods of the native frontend: predictions, health watch, reflection."""

import threading
from collections.abc import Callable, Mapping, MutableMapping
from weakref import WeakKeyDictionary

from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import NotReady
from gnomon.server.serving.admission.authentication import Caller
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.health import WATCH_SECONDS, service_names, status_of
from gnomon.server.serving.methods import SERVICE, decode
from gnomon.server.serving.native.loop import Call
from gnomon.server.serving.native.open_calls import OpenCalls, Turn
from gnomon.server.serving.stream_messages import answered, refused

Infer = Callable[[Call, oip.ModelInferRequest], oip.ModelInferResponse]
Unpack = Callable[[Call], bytes]
Identify = Callable[[Call], Caller]

_REFLECTION = f"/{reflection.SERVICE_NAME}/ServerReflectionInfo"
_WATCH = "/grpc.health.v1.Health/Watch"


class StreamingCalls:
    """Answers streaming calls. Threads may share it.

    `unpack` returns the bytes of a call's message, `identify` the caller, and `infer` answers one
    request for predictions. Reflection is served only if `tells_of_itself`: no keys are needed.
    """

    def __init__(
        self,
        handler: Handler,
        unpack: Unpack,
        identify: Identify,
        infer: Infer,
        *,
        tells_of_itself: bool,
    ) -> None:
        self._unpack = unpack
        self._identify = identify
        self._ask = infer
        self._open = OpenCalls()
        self._watch = HealthWatch(handler, unpack, self._open)
        self._turns: dict[str, Turn] = {
            f"/{SERVICE}/ModelStreamInfer": self._infer,
            _WATCH: self._watch.turn,
        }
        if tells_of_itself:
            self._reflection = reflection.ReflectionServicer(service_names(SERVICE))
            self._turns[_REFLECTION] = self._reflect

    @property
    def turns(self) -> Mapping[str, Callable[[Call], None]]:
        """Return the function that answers a message, by the method's path."""
        return {path: self._taking(turn) for path, turn in self._turns.items()}

    def close(self) -> None:
        """End all calls, each once its message is answered."""
        self._watch.stop()
        self._open.refuse_all(NotReady("the server is leaving; open the stream again elsewhere"))

    def _taking(self, turn: Turn) -> Callable[[Call], None]:
        return lambda call: self._open.take(call, turn)

    def _infer(self, call: Call) -> bool:
        if call.message is None:
            return False
        # A key may be revoked while a stream is open; that ends the stream.
        self._identify(call)
        request_id = ""
        try:
            request = decode(oip.ModelInferRequest, self._unpack(call))
            request_id = request.id
            message = answered(self._ask(call, request))
        except Exception as error:
            message = refused(request_id, error)
        call.send(message)
        return True

    def _reflect(self, call: Call) -> bool:
        if call.message is None:
            return False
        request = decode(reflection_pb2.ServerReflectionRequest, self._unpack(call))
        for answer in self._reflection.ServerReflectionInfo(iter((request,)), None):
            call.send(answer.SerializeToString())
        return True


class HealthWatch:
    """Sends each change of health to the watching calls; one thread, while there are any."""

    def __init__(self, handler: Handler, unpack: Unpack, open_calls: OpenCalls) -> None:
        self._handler = handler
        self._unpack = unpack
        self._open = open_calls
        self._lock = threading.Lock()
        self._notifications: MutableMapping[Call, tuple[str, int]] = WeakKeyDictionary()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def turn(self, call: Call) -> bool:
        """Start to send changes to a call; it keeps receiving them after its last message."""
        if call.message is not None:
            request = decode(health_pb2.HealthCheckRequest, self._unpack(call))
            self._tell(call, request.service)
            self._start()
        return True

    def stop(self) -> None:
        """Stop sending."""
        self._stopped.set()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, name="native-frontend-health", daemon=True
                )
                self._thread.start()

    def _watch(self) -> None:
        while not self._stopped.wait(WATCH_SECONDS):
            with self._lock:
                notifications = dict(self._notifications)
                if not notifications:
                    self._thread = None
                    return
            for call, (service, _) in notifications.items():
                self._open.tell(call, lambda call=call, service=service: self._tell(call, service))  # type: ignore[misc]

    def _tell(self, call: Call, service: str) -> None:
        """Send a service's status, unless it was the last one sent."""
        status = status_of(self._handler, service, SERVICE)
        with self._lock:
            if self._notifications.get(call) == (service, status):
                return
            self._notifications[call] = (service, status)
        call.send(health_pb2.HealthCheckResponse(status=status).SerializeToString())
