"""What the native door asks Python for: every method, and each request that C declines."""

import base64
import logging
import time
import urllib.parse
import zlib
from collections.abc import Callable, Iterable

import grpc
from grpc_health.v1 import health_pb2

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import InvalidInput
from gnomon.server.serving.admission import Admission
from gnomon.server.serving.admission import Call as AdmittedCall
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.methods import SERVICE, Refusal, answers, decode, refusal_of
from gnomon.server.serving.native.loop import Call

_log = logging.getLogger(__name__)

#: zlib's window bits by the encoding's name on the wire.
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
#: What needs no encoding in a message: printable ASCII but for the sign of encoding.
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_UNKNOWN = Refusal("UNIMPLEMENTED", "Method not found!", ())


class NativeCalls:
    """Answers calls one at a time. Threads may share it."""

    def __init__(self, handler: Handler, admission: Admission, message_bytes: int) -> None:
        self._handler = handler
        self._admission = admission
        self._message_bytes = message_bytes
        methods = answers(handler) | {"ModelInfer": (oip.ModelInferRequest, self._infer)}
        self._answers = {f"/{SERVICE}/{name}": answer for name, answer in methods.items()}
        self._turns: dict[str, Callable[[Call], None]] = {}

    @property
    def streaming(self) -> Iterable[str]:
        """Return the paths of the streaming methods."""
        return tuple(self._turns)

    def answer(self, call: Call) -> None:
        """Answer or refuse a call; never raises."""
        try:
            if call.is_streaming:
                self._turns[call.path](call)
            elif call.path == "/grpc.health.v1.Health/Check":
                self._check_health(call)
            elif call.path not in self._answers:
                call.refuse(trailers_of(_UNKNOWN))
            else:
                kind, answer = self._answers[call.path]
                response = answer(decode(kind, self._message(call)))
                call.answer(response.SerializeToString())
        except Exception as error:
            try:
                call.refuse(trailers_of(refusal_of(error)))
            except Exception:
                _log.exception("a call could not be refused")

    def _infer(self, request: oip.ModelInferRequest) -> oip.ModelInferResponse:
        caller = self._admission.identify(None)
        call = AdmittedCall("native", request.model_name, request.id)
        with self._admission.admit(caller, call):
            call.read_ns = time.perf_counter_ns()
            response = self._handler.infer(request)
            call.version, call.answered_ns = response.model_version, time.perf_counter_ns()
        return response

    def _check_health(self, call: Call) -> None:
        request = decode(health_pb2.HealthCheckRequest, self._message(call))
        if request.service not in ("", SERVICE):
            call.refuse(trailers_of(Refusal("NOT_FOUND", "no such service is here", ())))
            return
        kind = health_pb2.HealthCheckResponse
        status = kind.SERVING if self._handler.server_ready() else kind.NOT_SERVING
        call.answer(kind(status=status).SerializeToString())

    def _message(self, call: Call) -> bytes:
        # Only a streaming call's end has none.
        whole = call.message or b""
        if call.encoding == "identity":
            return whole
        limit = self._message_bytes
        unpacker = zlib.decompressobj(_WINDOW_BITS[call.encoding])
        try:
            message = unpacker.decompress(whole, limit + 1)
        except zlib.error as error:
            raise InvalidInput(f"the message is not {call.encoding}: {error}") from error
        if len(message) > limit or not unpacker.eof:
            raise InvalidInput(f"the message is cut short, or larger than {limit} bytes unpacked")
        return message


def trailers_of(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """Return a refusal as HTTP/2's trailers."""
    number = grpc.StatusCode[refusal.status].value[0]
    message = urllib.parse.quote(refusal.message, safe=_PLAIN, errors="replace")
    trailers = [(b"grpc-status", b"%d" % number), (b"grpc-message", message.encode())]
    for name, value in refusal.metadata:
        data = base64.b64encode(value).rstrip(b"=") if isinstance(value, bytes) else value.encode()
        trailers.append((name.encode(), data))
    return trailers
