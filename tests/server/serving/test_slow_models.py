"""A slow model beside a fast one, at every frontend: the fast one's callers do not wait."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from numpy.typing import NDArray

from gnomon.bench.core.dense_network import dense_network
from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.engines import Engine
from gnomon.runtime.errors import Overloaded
from gnomon.runtime.packages.package import Package
from gnomon.runtime.raw_models.raw_model import write_raw_model
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.call_timer import CallTimer
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.frontend import NativeFrontend, why_not
from gnomon.server.serving.native.offload_pool import OffloadPool
from gnomon.server.serving.settings import FrontendSettings
from tests.support.busy_interpreter import widen_thresholds
from tests.support.packages import make_package
from tests.support.waiting import wait_for

#: Layers wide enough that a row takes many milliseconds on any machine.
WIDE = (4, 4096, 4096, 1)
CALLERS = 8


class Held:
    """An engine that takes 40 milliseconds, and longer while it is held."""

    works_in_caller = False

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.free = threading.Event()
        self.free.set()
        self.waiting = 0

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        time.sleep(0.04)
        self.waiting += 1
        assert self.free.wait(60)
        return self._engine.run(tensors)

    def row_runner(self, packing: Any) -> None:
        return None

    def close(self) -> None:
        self._engine.close()


def request(model: str, wind: float = 10.0) -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(model_name=model)
    for name, number in (("distance", 800.0), ("wind", wind)):
        tensor = message.inputs.add(name=name, datatype="FP64", shape=[1, 1])
        tensor.contents.fp64_contents.append(number)
    tensor = message.inputs.add(name="carrier", datatype="BYTES", shape=[1, 1])
    tensor.contents.bytes_contents.append(b"UA")
    return message


def hold(runtime: Runtime, fast: Package, folder: Path) -> Held:
    """Serve a slow model as `slow` beside the fast one; return its engine."""
    package = make_package(folder / "slow", None, version="9")
    model = runtime.load(package)
    held = Held(model.engine)
    model.engine = held
    runtime.apply([single("eta", fast.digest), single("slow", package.digest)])
    return held


@pytest.fixture
def native(package: Package) -> Iterator[Any]:
    """Open a native frontend with two threads for Python; gives runtime, stub and frontend."""
    if why := why_not(FrontendSettings(port=0)):
        pytest.skip(why)
    runtime = Runtime(MemorySink())
    runtime.load(package)
    frontend = NativeFrontend(Handler(runtime), FrontendSettings(port=0, threads=2))
    address = asyncio.run(frontend.open())
    channel = grpc.insecure_channel(address)
    yield runtime, inference_pb2_grpc.GRPCInferenceServiceStub(channel), frontend
    channel.close()
    asyncio.run(frontend.close(5))
    runtime.close()


def test_the_native_frontend_answers_the_fast_one_meanwhile(
    native: Any, package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widen_thresholds(monkeypatch)
    runtime, stub, frontend = native
    held = hold(runtime, package, tmp_path)
    stub.ModelInfer(request("slow"), timeout=60)
    held.free.clear()
    with ThreadPoolExecutor(CALLERS) as pool:
        slow = [pool.submit(stub.ModelInfer, request("slow"), timeout=60) for _ in range(CALLERS)]
        wait_for(lambda: held.waiting == 3)
        # In C, and by Python, which has to mend the wind.
        for wind in (10.0, 900.0):
            answer = stub.ModelInfer(request("eta", wind), timeout=30)
            assert answer.model_version == "1"
        assert not any(one.done() for one in slow)
        held.free.set()
        assert {one.result(60).model_version for one in slow} == {"9"}
    assert frontend.counts["taken"] == 1


def test_rest_answers_the_fast_one_meanwhile(
    served: Any,
    rest: httpx.Client,
    package: Package,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    widen_thresholds(monkeypatch)
    held = hold(served.runtime, package, tmp_path)
    row = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}

    def ask(model: str) -> int:
        with httpx.Client(base_url=str(rest.base_url), trust_env=False, timeout=60) as client:
            url = f"/v1/models/{model}:predict"
            return client.post(url, json={"instances": [row]}).status_code

    for model in ("slow", *["eta"] * 20):
        assert ask(model) == 200
    held.free.clear()
    with ThreadPoolExecutor(CALLERS) as pool:
        slow = [pool.submit(ask, "slow") for _ in range(CALLERS)]
        wait_for(lambda: held.waiting == 5)
        assert ask("eta") == 200
        assert not any(one.done() for one in slow)
        held.free.set()
        assert {one.result(60) for one in slow} == {200}


@pytest.mark.slow
def test_a_model_that_was_slow_at_its_warm_up_never_runs_on_the_loop(
    native: Any, tmp_path: Path
) -> None:
    runtime, stub, frontend = native
    (tmp_path / "wide.onnx").write_bytes(dense_network(WIDE, "score"))
    wide = write_raw_model(tmp_path / "wide.onnx", tmp_path / "wide", "wide", "1")
    assert runtime.load(wide).row_latency.is_slow
    runtime.apply([single("wide", wide.digest)])
    message = oip.ModelInferRequest(model_name="wide")
    for number in range(WIDE[0]):
        tensor = message.inputs.add(name=f"features_{number}", datatype="FP32", shape=[1, 1])
        tensor.contents.fp32_contents.append(1.0)
    for _ in range(3):
        stub.ModelInfer(message, timeout=60)
    assert (frontend.counts["taken"], frontend.counts["no target"]) == (0, 3)


def test_slow_calls_are_bounded() -> None:
    held = threading.Event()
    calls = OffloadPool(1, CallTimer(lambda route: False), waiting_limit=1)
    calls.timed("m", lambda: time.sleep(0.02))
    assert calls.is_slow("m")
    assert not calls.is_slow("other")
    for _ in range(2):
        calls.put("m", lambda: held.wait(30) and None)
    with pytest.raises(Overloaded, match="model 'm' is slow, and 2 calls"):
        calls.put("m", lambda: None)
    held.set()
    wait_for(lambda: not calls._under_way)
    calls.put("m", lambda: None)
    calls.close()
