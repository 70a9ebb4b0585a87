"""Spans arrive at a collector, with their stages, their parents, and no value of a request."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from importlib.metadata import version
from typing import Any

import grpc
import httpx
import pytest

from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.errors import WIRE, ConfigurationError, EngineError, InvalidInput
from gnomon.runtime.packages.package import Package
from gnomon.server.serving.admission import tracing
from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.admission.admitted_call import AdmittedCall
from gnomon.server.serving.admission.authentication import LOCAL, Authentication
from gnomon.server.serving.native.frontend import why_not
from gnomon.server.serving.rate_limits import RateLimits
from gnomon.server.serving.settings import FrontendSettings
from tests.support.serving import request
from tests.support.waiting import wait_for

sdk = pytest.importorskip("opentelemetry.sdk.trace")

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
SERVER = """
import json, sys
from pathlib import Path
from gnomon.edge.settings import NodeSettings
from gnomon.server.serving.process import serve
from gnomon.server.serving.settings import ServeSettings
serve(ServeSettings(port=0, rest_port=0, traces=True, notice_seconds=0.0),
      NodeSettings(packages=(Path(sys.argv[1]),)),
      lambda addresses: print(json.dumps(addresses._asdict()), flush=True))
"""


class Collector:
    """An OTLP collector that keeps what it is sent."""

    def __init__(self) -> None:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service

        self.spans: list[Any] = []
        self.services: set[str] = set()
        self.resource: dict[str, str] = {}
        self._lock = threading.Lock()
        collector = self

        class Servicer(service.TraceServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
                with collector._lock:
                    for resource in request.resource_spans:
                        for one in resource.resource.attributes:
                            collector.resource[one.key] = one.value.string_value
                            if one.key == "service.name":
                                collector.services.add(one.value.string_value)
                        for scope in resource.scope_spans:
                            collector.spans += scope.spans
                return messages.ExportTraceServiceResponse()

        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        service.add_TraceServiceServicer_to_server(Servicer(), self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def named(self, name: str) -> list[Any]:
        with self._lock:
            return [one for one in self.spans if one.name == name]

    def close(self) -> None:
        self._server.stop(0)


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def ask(package: Package, collector: Collector) -> Iterator[Callable[[], dict[str, str]]]:
    """Start a traced server; gives its addresses, and ends it, which hands all spans over."""
    environment = os.environ | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_SERVICE_NAME": "flights",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(package.path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout
    addresses = json.loads(process.stdout.readline())
    yield lambda: addresses
    process.terminate()
    assert process.wait(30) == 0


def attributes(span: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


@pytest.mark.slow
def test_calls_of_both_frontends_leave_spans_below_their_parents(
    ask: Callable[[], dict[str, str]], collector: Collector
) -> None:
    addresses = ask()
    with grpc.insecure_channel(addresses["grpc"]) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        stub.ModelInfer(request(), timeout=20, metadata=(("traceparent", PARENT),))
        with pytest.raises(grpc.RpcError):
            stub.ModelInfer(request(distance=[-47114711.0]), timeout=20)
    row = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}
    url = f"{addresses['rest']}/v1/models/eta:predict"
    headers = {"traceparent": PARENT}
    with httpx.Client(trust_env=False, timeout=30) as client:
        until = time.monotonic() + 30
        while True:
            try:
                answer = client.post(url, json={"instances": [row]}, headers=headers)
                break
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.1)
        assert answer.status_code == 200
    wait_for(lambda: len(collector.named("predict eta")) == 3)
    wait_for(lambda: len(collector.named("predict")) == 2)
    spans = {
        attributes(one)["gnomon.frontend"]: one
        for one in collector.named("predict eta")
        if one.parent_span_id
    }
    assert set(spans) == {"grpc", "rest"}
    for span in spans.values():
        assert span.trace_id.hex() == TRACE
        assert span.parent_span_id.hex() == SPAN
        assert attributes(span)["gnomon.version"] == "1"
        stages = [one for one in collector.spans if one.parent_span_id == span.span_id]
        assert [one.name for one in sorted(stages, key=lambda one: one.start_time_unix_nano)] == [
            "read",
            "predict",
            "write",
        ]
        assert sum(one.end_time_unix_nano - one.start_time_unix_nano for one in stages) == (
            span.end_time_unix_nano - span.start_time_unix_nano
        )
    (refused,) = [one for one in collector.named("predict eta") if not one.parent_span_id]
    assert attributes(refused)["gnomon.code"] == "invalid_input"
    assert refused.status.code == 0
    # Long enough to be in no time and no identity by chance.
    assert "47114711" not in str(collector.spans)
    assert collector.services == {"flights"}
    assert collector.resource["service.version"] == version("gnomon")
    assert collector.resource["telemetry.sdk.language"] == "python"
    assert all(attributes(one)["gnomon.request_id"] for one in spans.values())


def traced(*, is_known: bool = True) -> tuple[Admission, Any]:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    admission = Admission(
        Authentication(None),
        RateLimits(),
        is_known=lambda _: is_known,
        tracing=tracing.OpenTelemetry(provider),
    )
    return admission, exporter


@pytest.mark.parametrize(
    ("error", "code", "is_error"),
    [
        (InvalidInput("4711"), "invalid_input", False),
        (EngineError("4711"), "engine", True),
        (RuntimeError("4711"), "internal", True),
    ],
)
def test_only_faults_of_ours_are_errors(error: Exception, code: str, is_error: bool) -> None:
    admission, exporter = traced()
    with pytest.raises(type(error)), admission.admit(LOCAL, AdmittedCall("rest", "eta")):
        raise error
    (span,) = exporter.get_finished_spans()
    assert span.attributes["gnomon.code"] == code
    assert span.status.is_ok is not is_error
    assert "4711" not in span.to_json()


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("error", [None, InvalidInput("4711"), RuntimeError("4711")])
@pytest.mark.parametrize(
    ("frontend", "operation", "expected"),
    [
        (
            "rest",
            "POST /v1/models/{model}:predict",
            {"http.request.method": "POST", "http.route": "/v1/models/{model}:predict"},
        ),
        (
            "grpc",
            "inference.GRPCInferenceService/ModelInfer",
            {
                "rpc.system": "grpc",
                "rpc.service": "inference.GRPCInferenceService",
                "rpc.method": "ModelInfer",
            },
        ),
    ],
)
def test_spans_follow_the_conventions_and_keep_the_state_of_the_trace(
    frontend: str,
    operation: str,
    expected: dict[str, Any],
    error: Exception | None,
    is_known: bool,
) -> None:
    admission, exporter = traced(is_known=is_known)
    call = AdmittedCall(frontend, "eta", operation=operation, traceparent=PARENT, tracestate="v=1")
    with contextlib.suppress(InvalidInput, RuntimeError), admission.admit(LOCAL, call):
        if error is not None:
            raise error
    (span,) = exporter.get_finished_spans()
    assert span.name == ("predict eta" if is_known else "predict an unknown model")
    assert span.context.trace_state.get("v") == "1"
    statuses = {None: (200, 0), InvalidInput: (422, 3), RuntimeError: (500, 13)}
    http, grpc_number = statuses[None if error is None else type(error)]
    status = "http.response.status_code" if frontend == "rest" else "rpc.grpc.status_code"
    expected = {**expected, status: http if frontend == "rest" else grpc_number}
    assert expected.items() <= span.attributes.items()
    codes = {None: None, InvalidInput: "invalid_input", RuntimeError: "internal"}
    assert span.attributes.get("error.type") == codes[None if error is None else type(error)]


def test_every_status_has_its_number() -> None:
    assert {status for status, _ in WIRE.values()} <= set(grpc.StatusCode.__members__)


@pytest.mark.parametrize("parent", ["", "nonsense", "00-0-0-00", "ff" + PARENT[2:], "é" * 3_000])
def test_a_parent_that_is_none_begins_a_trace(parent: str) -> None:
    admission, exporter = traced()
    with admission.admit(LOCAL, AdmittedCall("rest", "eta", traceparent=parent)):
        pass
    (span,) = exporter.get_finished_spans()
    assert span.parent is None


def test_off_it_costs_no_import(package: Package) -> None:
    code = """
import sys
import gnomon.server.serving.process, gnomon.server.serving.grpcio.frontend
import gnomon.server.serving.rest.frontend
from gnomon.server.serving.admission.tracing import make_tracing
assert make_tracing(False) is None
assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match=r"gnomon\[otel\]"):
        tracing.make_tracing(True)


def test_the_native_frontend_says_that_it_supports_no_traces() -> None:
    assert "traces" in str(why_not(FrontendSettings(traces=True)))
