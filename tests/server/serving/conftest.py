"""A door over a real package on a real socket, in this process or in one of its own."""

import asyncio
import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import httpx
import pytest

from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.packages.package import Package
from gnomon.runtime.predicting.routes import single
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.gates.admission import make_admission
from gnomon.server.serving.grpcio.door import GrpcDoor
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.door import NativeDoor
from gnomon.server.serving.native.loop import missing_library
from gnomon.server.serving.rest.door import RestDoor
from gnomon.server.serving.settings import DoorSettings

#: The doors for gRPC that can serve here.
GRPC_DOORS = [
    GrpcDoor,
    pytest.param(
        NativeDoor,
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


@pytest.fixture(scope="session")
def builder() -> ModuleType:
    path = Path(__file__).parents[2] / "runtime" / "conftest.py"
    spec = importlib.util.spec_from_file_location("gnomon_test_packages", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, builder: ModuleType) -> Package:
    made: Package = builder.make_package(tmp_path_factory.mktemp("packages") / "eta-1", None)
    return made


class Served:
    """A handler behind a door in this process, what it counted, and a client without checks."""

    def __init__(self, package: Package, **settings: Any) -> None:
        self.sink = MemorySink()
        self.runtime = Runtime(self.sink)
        self.runtime.load(package)
        self.runtime.apply([single("eta", package.digest)])
        self.handler = Handler(self.runtime)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.door = self.run(self._make(DoorSettings(**{"port": 0, **settings})))
        self.address = self.run(self.door.open())
        self.channel = grpc.insecure_channel(self.address)
        self.stub = inference_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    async def _make(self, settings: DoorSettings) -> GrpcDoor:
        return GrpcDoor(self.handler, settings)

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
        self.run(self.door.close(1))
        self.runtime.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture
def served(package: Package) -> Iterator[Served]:
    served = Served(package)
    yield served
    served.close()


@pytest.fixture
def rest(served: Served) -> Iterator[Any]:
    """Open a REST door beside the gRPC door, over the same handler; gives an HTTP client."""
    settings = DoorSettings(port=0)
    admission = make_admission(settings, served.handler)
    door = RestDoor(served.handler, served.runtime, settings, 0, admission)
    door.open()
    with httpx.Client(base_url=door.url, trust_env=False, timeout=10) as client:
        yield client
    door.close(1)


@pytest.fixture
def server(package: Package) -> Iterator[Any]:
    """Start servers in processes of their own; gives (process, address)."""
    processes: list[subprocess.Popen[str]] = []

    def start(**settings: Any) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", SERVER, str(package.path), json.dumps(settings)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.wait(timeout=20)
