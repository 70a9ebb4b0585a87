"""A batched route through every frontend: rows of different callers share runs of the engine."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.engines import Engine
from gnomon.runtime.packages.manifest import Batching
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.grpcio.frontend import GrpcFrontend
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.frontend import NativeFrontend, why_not
from gnomon.server.serving.rest.frontend import RestFrontend
from gnomon.server.serving.settings import FrontendSettings
from tests.support.waiting import wait_for

CALLERS = 8
SETTINGS = FrontendSettings(port=0, threads=CALLERS + 1)


class Seen:
    """An engine that remembers how many rows each run had, and can be held."""

    works_in_caller = False

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.rows: list[int] = []
        self.free = Event()

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.rows.append(len(next(iter(tensors.values()))))
        assert self.free.wait(60)
        return self._engine.run(tensors)

    def row_runner(self, packing: Any) -> None:
        return None

    def close(self) -> None:
        self._engine.close()


@pytest.fixture
def runtime(package: Package) -> Iterator[Runtime]:
    runtime = Runtime(MemorySink())
    model = runtime.load(package)
    # Small models are never batched by themselves.
    model.batching = Batching(max_rows=64, max_delay_seconds=0.0)
    model.engine = Seen(model.engine)
    runtime.apply([single("eta", package.digest)])
    yield runtime
    runtime.close()


def request(distance: float) -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(model_name="eta")
    for name, number in (("distance", distance), ("wind", 10.0)):
        tensor = message.inputs.add(name=name, datatype="FP64", shape=[1, 1])
        tensor.contents.fp64_contents.append(number)
    tensor = message.inputs.add(name="carrier", datatype="BYTES", shape=[1, 1])
    tensor.contents.bytes_contents.append(b"AA")
    return message


def check(runtime: Runtime, ask: Callable[[float], float]) -> None:
    """Ask from many threads while the first run is held: the others share the next one."""
    (model,) = runtime.models.values()
    seen = model.engine
    assert isinstance(seen, Seen)
    distances = [80.0 * (1 + number) for number in range(CALLERS + 1)]
    with ThreadPoolExecutor(CALLERS + 1) as pool:
        first = pool.submit(ask, distances[0])
        wait_for(lambda: len(seen.rows) == 1)
        rest = [pool.submit(ask, one) for one in distances[1:]]
        (batcher,) = runtime._table.batchers.values()
        wait_for(lambda: len(batcher._waiting) == CALLERS)
        seen.free.set()
        answers = [one.result(60) for one in [first, *rest]]
    np.testing.assert_allclose(answers, [one / 8 + 1 for one in distances], rtol=1e-6)
    assert seen.rows == [1, CALLERS]
    (totals,) = runtime.series_totals().values()
    assert totals.calls["answered"] == totals.rows["answered"] == CALLERS + 1


def ask_through(address: str) -> tuple[grpc.Channel, Callable[[float], float]]:
    channel = grpc.insecure_channel(address)
    stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)

    def ask(distance: float) -> float:
        answer = stub.ModelInfer(request(distance), timeout=60)
        return float(answer.outputs[0].contents.fp32_contents[0])

    return channel, ask


def test_the_native_frontend_gathers(runtime: Runtime) -> None:
    if why := why_not(SETTINGS):
        pytest.skip(why)
    frontend = NativeFrontend(Handler(runtime), SETTINGS)
    channel, ask = ask_through(asyncio.run(frontend.open()))
    check(runtime, ask)
    assert frontend.counts["no target"] == CALLERS + 1
    channel.close()
    asyncio.run(frontend.close(5))


def test_the_grpcio_frontend_gathers(runtime: Runtime) -> None:
    async def serve() -> None:
        frontend = GrpcFrontend(Handler(runtime), SETTINGS)
        channel, ask = ask_through(await frontend.open())
        await asyncio.to_thread(check, runtime, ask)
        channel.close()
        await frontend.close(5)

    asyncio.run(serve())


def test_rest_gathers(runtime: Runtime) -> None:
    handler = Handler(runtime)
    frontend = RestFrontend(handler, runtime, SETTINGS, 0, make_admission(SETTINGS, handler))
    frontend.open()

    def ask(distance: float) -> float:
        row = {"distance": distance, "wind": 10.0, "carrier": "AA"}
        url = f"{frontend.url}/v1/models/eta:predict"
        answer = httpx.post(url, json={"instances": [row]}, trust_env=False, timeout=60)
        return float(answer.json()["predictions"][0]["air_time"])

    check(runtime, ask)
    frontend.close(5)
