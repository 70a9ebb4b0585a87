"""A frontend over a real package on a real socket, in this process or in one of its own."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2_grpc

from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.grpcio.frontend import GrpcFrontend
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.native.loop import missing_library
from gnomon.server.serving.rest.frontend import RestFrontend
from gnomon.server.serving.settings import FrontendSettings

#: A good call of the small package's model over REST.
PREDICT = "/v1/models/eta:predict"
BODY = {"instances": [{"distance": 800.0, "wind": 10.0, "carrier": "UA"}]}

#: The frontends for gRPC that can serve here.
GRPC_FRONTENDS = [
    GrpcFrontend,
    pytest.param(
        NativeFrontend,
        marks=pytest.mark.skipif(missing_library() is not None, reason="libnghttp2 is missing"),
    ),
]

SERVER = """
import json, sys
from pathlib import Path
from gnomon.edge.settings import NodeSettings
from gnomon.server.serving.process import serve
from gnomon.server.serving.settings import ServeSettings
settings = {"port": 0, "rest_port": -1, **json.loads(sys.argv[2])}
serve(ServeSettings(**settings), NodeSettings(packages=(Path(sys.argv[1]),)),
      lambda addresses: print(addresses.grpc, flush=True))
"""


class Served:
    """A handler behind a frontend in this process, what it counted, and a client without checks."""

    def __init__(self, package: Package, **settings: Any) -> None:
        self.sink = MemorySink()
        self.runtime = Runtime(self.sink)
        self.runtime.load(package)
        self.runtime.apply([single("eta", package.digest)])
        self.handler = Handler(self.runtime)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.frontend = self.run(self._make(FrontendSettings(**{"port": 0, **settings})))
        self.address = self.run(self.frontend.open())
        self.channel = grpc.insecure_channel(self.address)
        self.stub = inference_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    async def _make(self, settings: FrontendSettings) -> GrpcFrontend:
        return GrpcFrontend(self.handler, settings)

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def infer(self, request: oip.ModelInferRequest) -> oip.ModelInferResponse:
        return self.stub.ModelInfer(request, timeout=10)

    def counted(self) -> dict[str, int]:
        """Count the rows by outcome that the runtime has handed to its sink."""
        self.runtime.flush()
        (model,) = self.runtime.models.values()
        total: dict[str, int] = {}
        for record in self.sink.records:
            if record.HasField("window"):
                window = model.package.profile.read_window(record.window.window)
                for outcome, rows in window.outcome_rows.items():
                    total[outcome] = total.get(outcome, 0) + rows
        return {outcome: rows for outcome, rows in total.items() if rows}

    def close(self) -> None:
        self.channel.close()
        self.run(self.frontend.close(1))
        self.runtime.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


class ServerProcesses:
    """Servers in processes of their own, over one package."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, **settings: Any) -> tuple[subprocess.Popen[str], str]:
        """Start one; return it and its address."""
        command = [sys.executable, "-c", SERVER, str(self._package.path), json.dumps(settings)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        assert process.stdout
        return process, process.stdout.readline().strip()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(timeout=20)
            assert process.stdout
            process.stdout.close()


@contextmanager
def rest_client(served: Served) -> Iterator[httpx.Client]:
    """Open a REST frontend beside the gRPC one, over the same handler."""
    settings = FrontendSettings(port=0)
    admission = make_admission(settings, served.handler)
    frontend = RestFrontend(served.handler, served.runtime, settings, 0, admission)
    frontend.open()
    with httpx.Client(base_url=frontend.url, trust_env=False, timeout=10, verify=False) as client:
        yield client
    frontend.close(1)


class Doors:
    """REST and a frontend for gRPC with credentials, over the handler of `served`."""

    def __init__(self, served: Any, kind: Any, **changes: Any) -> None:
        self._served = served
        self._kind = kind
        settings = FrontendSettings(port=0, **changes)
        self.admission = make_admission(settings, served.handler)
        self._rest = RestFrontend(served.handler, served.runtime, settings, 0, self.admission)
        self._rest.open()
        self.url = self._rest.url
        self._grpc = served.run(self._make(settings))
        self._channel = grpc.insecure_channel(served.run(self._grpc.open()))
        self.stub = inference_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self.health = health_pb2_grpc.HealthStub(self._channel)

    async def _make(self, settings: FrontendSettings) -> Any:
        return self._kind(self._served.handler, settings, self.admission)

    def close(self) -> None:
        self._channel.close()
        self._served.run(self._grpc.close(0))
        self._rest.close(1)


def request(rows: int = 1, **changes: Any) -> oip.ModelInferRequest:
    """A good request with typed contents; `changes` replace the values of a field."""
    message = oip.ModelInferRequest(model_name="eta", id="r1")
    columns = {"distance": [800.0] * rows, "wind": [10.0] * rows, "carrier": ["UA"] * rows}
    for name, values in (columns | changes).items():
        if values is None:
            continue
        texts = values and isinstance(values[0], str)
        tensor = message.inputs.add(name=name, datatype="BYTES" if texts else "FP64")
        tensor.shape.append(len(values))
        if texts:
            tensor.contents.bytes_contents.extend(text.encode() for text in values)
        else:
            tensor.contents.fp64_contents.extend(values)
    return message
