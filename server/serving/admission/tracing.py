"""OpenTelemetry: a span for each admitted request, with child spans for its stages.

Spans are created at the end of a request, from times that its frontend records anyway; without
tracing they cost nothing. Endpoint, sampling and service name come from OpenTelemetry's standard
environment (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`, …), which
its SDK reads. Attributes follow OpenTelemetry's semantic conventions for RPC, HTTP and errors; what
is Gnomon's own begins with `gnomon.`. Spans hold no value of a request, and their names are
bounded: the route's, if it is in service.
"""

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import grpc

from gnomon.runtime.errors import WIRE, ConfigurationError, Fault, GnomonError
from gnomon.runtime.extras import missing_extra
from gnomon.runtime.limits import STORED_ID_CHARACTERS
from gnomon.server.serving.admission.exemplars import Exemplars, TracedCall

if TYPE_CHECKING:
    from gnomon.server.serving.admission.admitted_call import AdmittedCall

_SERVICE = "gnomon"
#: The headers with the parent span (W3C Trace Context).
PARENT_HEADER = "traceparent"
STATE_HEADER = "tracestate"


class Tracing(Protocol):
    """Takes requests that have ended."""

    #: The newest traced requests.
    exemplars: Exemplars

    def record(self, caller: str, call: "AdmittedCall", error: BaseException | None) -> None:
        """Make the spans of a request; never raises."""

    def close(self) -> None:
        """Hand over what is left."""


class OpenTelemetry:
    """Makes spans with the tracer of a provider."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._trace = trace
        self._provider = provider
        self.exemplars = Exemplars()
        self._tracer = provider.get_tracer(_SERVICE)
        self._propagator = TraceContextTextMapPropagator()

    def record(self, caller: str, call: "AdmittedCall", error: BaseException | None) -> None:
        """Make the spans of a request that ends now."""
        ended = time.perf_counter_ns()
        since_epoch = time.time_ns() - ended
        above = self._propagator.extract(
            {PARENT_HEADER: call.traceparent, STATE_HEADER: call.tracestate}
        )
        span = self._tracer.start_span(
            f"predict {call.route}" if call.is_known else "predict an unknown model",
            context=above,
            kind=self._trace.SpanKind.SERVER,
            start_time=since_epoch + call.started_ns,
            attributes={
                "gnomon.frontend": call.frontend,
                # What this was called until 0.1.
                "gnomon.door": call.frontend,
                "gnomon.route": call.route[:80],
                "gnomon.version": call.version,
                "gnomon.request_id": call.request_id[:STORED_ID_CHARACTERS],
                "gnomon.caller": caller,
                **_conventional(call, error),
            },
        )
        if span.is_recording():
            self._tell_error(span, error)
            self._add_stages(span, call, ended, since_epoch)
            if error is None:
                self._keep(span, call, ended)
        span.end(since_epoch + ended)

    def _keep(self, span: Any, call: "AdmittedCall", ended: int) -> None:
        trace_id = self._trace.format_trace_id(span.get_span_context().trace_id)
        seconds = (ended - call.started_ns) / 1e9
        self.exemplars.add(call.route, call.version, TracedCall(seconds, trace_id, time.time()))

    def _tell_error(self, span: Any, error: BaseException | None) -> None:
        """Record how the request ended; a caller's fault is not an error of this span."""
        if error is None:
            return
        known = _typed(error)
        span.set_attribute("gnomon.code", known.code)
        span.set_attribute("error.type", known.code)
        if known.fault is not Fault.CALLER:
            span.set_status(self._trace.StatusCode.ERROR)

    def _add_stages(self, span: Any, call: "AdmittedCall", ended: int, since_epoch: int) -> None:
        times = [call.started_ns, call.read_ns, call.answered_ns, ended]
        below = self._trace.set_span_in_context(span)
        for name, begin, end in zip(("read", "predict", "write"), times, times[1:], strict=False):
            if not begin or not end:
                # A request that was refused half-way has no later stages.
                return
            stage = self._tracer.start_span(name, context=below, start_time=since_epoch + begin)
            stage.end(since_epoch + end)

    def close(self) -> None:
        """Hand over what is left, within the exporter's own time."""
        self._provider.shutdown()


def _typed(error: BaseException) -> GnomonError:
    return error if isinstance(error, GnomonError) else GnomonError("unexpected")


def _conventional(call: "AdmittedCall", error: BaseException | None) -> dict[str, str | int]:
    """Return the attributes that the semantic conventions have for a call."""
    status, number = ("OK", 200) if error is None else WIRE[_typed(error).code]
    if call.frontend == "rest":
        method, _, route = call.operation.partition(" ")
        return {
            "http.request.method": method or "POST",
            "http.route": route,
            "http.response.status_code": number,
        }
    service, _, method = call.operation.rpartition("/")
    return {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": method,
        "rpc.grpc.status_code": grpc.StatusCode[status].value[0],
    }


def make_tracing(wanted: bool) -> Tracing | None:
    """Return what creates spans, exported by OTLP over gRPC; None if tracing is off.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """
    if not wanted:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import (
            SERVICE_NAME,
            SERVICE_VERSION,
            OTELResourceDetector,
            Resource,
        )
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            missing_extra("setting serve.traces_endpoint", f"OpenTelemetry ({error})", "otel")
        ) from error
    own = {SERVICE_NAME: _SERVICE, SERVICE_VERSION: version("gnomon")}
    # `create` adds what the SDK is; the environment has the last word.
    named = Resource.create(own).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OpenTelemetry(provider)
