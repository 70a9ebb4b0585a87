"""A slow model beside a fast one, through every door: the fast one's callers do not notice."""

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest

from gnomon.bench.dense_network import dense_network
from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.bare import write_bare
from gnomon.runtime.errors import Overloaded
from gnomon.runtime.package import Package
from gnomon.runtime.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.runtime.sink import MemorySink
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native_door import NativeDoor, why_not
from gnomon.server.serving.settings import DoorSettings
from gnomon.server.serving.slow_calls import SlowCalls

#: Layers wide enough that a row takes many milliseconds on any machine.
WIDE = (64, 4096, 4096, 1)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.onnx").write_bytes(dense_network(WIDE, "score"))
    return write_bare(folder / "slow.onnx", folder / "slow", "slow", "1")


def slow_request() -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(model_name="slow")
    for number in range(WIDE[0]):
        tensor = message.inputs.add(name=f"features_{number}", datatype="FP32", shape=[1, 1])
        tensor.contents.fp32_contents.append(1.0)
    return message


def fast_request(wind: float) -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(model_name="eta")
    for name, number in (("distance", 800.0), ("wind", wind)):
        tensor = message.inputs.add(name=name, datatype="FP64", shape=[1, 1])
        tensor.contents.fp64_contents.append(number)
    tensor = message.inputs.add(name="carrier", datatype="BYTES", shape=[1, 1])
    tensor.contents.bytes_contents.append(b"UA")
    return message


@pytest.fixture
def native(package: Package, slow: Package) -> Iterator[Any]:
    """Serve both through the native door; gives a stub, and what the door counts."""
    if why := why_not(DoorSettings(port=0)):
        pytest.skip(why)
    runtime = Runtime(MemorySink())
    for one in (package, slow):
        runtime.load(one)
    runtime.apply([single("eta", package.digest), single("slow", slow.digest)])
    door = NativeDoor(Handler(runtime), DoorSettings(port=0, threads=2))
    address = asyncio.run(door.open())
    channel = grpc.insecure_channel(address)
    yield inference_pb2_grpc.GRPCInferenceServiceStub(channel), door
    channel.close()
    asyncio.run(door.close(5))
    runtime.close()


def timed(stub: Any, request: oip.ModelInferRequest) -> float:
    started = time.perf_counter()
    stub.ModelInfer(request, timeout=60)
    return time.perf_counter() - started


@pytest.mark.parametrize("wind", [10.0, 900.0], ids=["in C", "by Python, since it is clipped"])
def test_a_fast_model_does_not_wait_for_a_slow_one(native: Any, wind: float) -> None:
    stub, door = native
    for _ in range(4):
        timed(stub, slow_request())
    # Never on the loop, not even the first of them.
    assert door.counts["too slow"] == 0
    assert door.counts["no lane"] == 4
    stop = threading.Event()
    slow_calls: list[float] = []

    def ask() -> None:
        while not stop.is_set():
            slow_calls.append(timed(stub, slow_request()))

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask) for _ in range(8)]
        deadline = time.monotonic() + 60
        while len(slow_calls) < 8:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        fast = [timed(stub, fast_request(wind)) for _ in range(100)]
        stop.set()
        for one in asking:
            one.result(60)
    # Eight callers on two threads: who stood in line with them would take as long as they do.
    assert statistics.median(slow_calls) > 2 * statistics.median(fast)


def test_rest_answers_the_fast_one_meanwhile(
    served: Any, rest: httpx.Client, slow: Package
) -> None:
    (first,) = served.runtime.models
    served.runtime.load(slow)
    served.runtime.apply([single("eta", first), single("slow", slow.digest)])
    row = {f"features_{number}": 1.0 for number in range(WIDE[0])}
    good = {"instances": [{"distance": 800.0, "wind": 10.0, "carrier": "UA"}]}
    url = str(rest.base_url)
    for _ in range(5):
        assert rest.post("/v1/models/eta:predict", json=good).status_code == 200
    stop = threading.Event()

    def ask() -> int:
        asked = 0
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            while not stop.is_set():
                client.post("/v1/models/slow:predict", json={"instances": [row]}).raise_for_status()
                asked += 1
        return asked

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask) for _ in range(8)]
        for _ in range(50):
            assert rest.post("/v1/models/eta:predict", json=good).status_code == 200
        stop.set()
        assert sum(one.result(60) for one in asking) >= 8


def test_slow_calls_are_bounded() -> None:
    held = threading.Event()
    calls = SlowCalls(1, waiting_limit=1)
    calls.timed("m", lambda: time.sleep(0.02))
    assert calls.is_slow("m")
    assert not calls.is_slow("other")
    for _ in range(2):
        calls.put("m", lambda: held.wait(30) and None)
    with pytest.raises(Overloaded, match="model 'm' is slow, and 2 calls"):
        calls.put("m", lambda: None)
    held.set()
    deadline = time.monotonic() + 30
    while calls._under_way:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    calls.put("m", lambda: None)
    calls.close()
