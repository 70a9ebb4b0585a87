"""Which path a route's calls take: decided by the engine's own time, and decided again."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from gnomon import Agent
from gnomon.bench.core.dense_network import dense_network
from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.latency import SLOW_SECONDS
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.manifest import Batching
from gnomon.runtime.packages.package import Package
from gnomon.runtime.raw_models.raw_model import write_raw_model
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.executor_selector import ExecutorSelector
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native import path_selector
from gnomon.server.serving.native.frontend import NativeFrontend, why_not
from gnomon.server.serving.native.path_selector import PathSelector
from gnomon.server.serving.observing.metrics import ServingCollector
from gnomon.server.serving.settings import FrontendSettings, ServeSettings
from tests.support.busy_interpreter import BusyInterpreter, GivesWay, widen_thresholds
from tests.support.packages import make_package

WIDE = (4, 4096, 4096, 1)
ROW = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}


def request() -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(model_name="eta")
    for name, number in (("distance", 800.0), ("wind", 10.0)):
        tensor = message.inputs.add(name=name, datatype="FP64", shape=[1, 1])
        tensor.contents.fp64_contents.append(number)
    tensor = message.inputs.add(name="carrier", datatype="BYTES", shape=[1, 1])
    tensor.contents.bytes_contents.append(b"UA")
    return message


def wide_request() -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(model_name="wide")
    for number in range(WIDE[0]):
        tensor = message.inputs.add(name=f"features_{number}", datatype="FP32", shape=[1, 1])
        tensor.contents.fp32_contents.append(1.0)
    return message


@pytest.fixture
def busy() -> Iterator[BusyInterpreter]:
    busy = BusyInterpreter()
    yield busy
    busy.stop()


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime(MemorySink())
    yield runtime
    runtime.close()


@pytest.fixture
def open_frontend(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Open a native frontend that reviews its paths only if told to; gives it and a stub."""
    if why := why_not(FrontendSettings(port=0)):
        pytest.skip(why)
    monkeypatch.setattr("gnomon.server.serving.native.native_routes._REVIEW_SECONDS", 3_600.0)
    monkeypatch.setattr(path_selector, "FIRST_PAUSE_SECONDS", 0.0)
    opened: list[tuple[NativeFrontend, grpc.Channel]] = []

    def open_one() -> Any:
        frontend = NativeFrontend(Handler(runtime), FrontendSettings(port=0, threads=2, loops=1))
        channel = grpc.insecure_channel(asyncio.run(frontend.open()))
        opened.append((frontend, channel))
        return frontend, inference_pb2_grpc.GRPCInferenceServiceStub(channel)

    yield open_one
    for frontend, channel in opened:
        channel.close()
        asyncio.run(frontend.close(5))


def test_what_is_loaded_beside_a_busy_thread_is_answered_by_the_loops(
    runtime: Runtime, package: Package, busy: BusyInterpreter, open_frontend: Callable[[], Any]
) -> None:
    runtime.load(package)
    runtime.apply([single("eta", package.digest)])
    frontend, stub = open_frontend()
    assert frontend.paths["eta"].is_native
    stub.ModelInfer(request(), timeout=60)
    busy.stop()
    stub.ModelInfer(request(), timeout=60)
    assert frontend.counts["taken"] == 2
    frontend.review_paths()
    assert frontend.paths["eta"].is_native


def wrongly_slow(model: Model) -> None:
    model.row_latency.replace(1.0)


def test_a_quick_model_that_was_found_slow_returns_to_the_loops(
    runtime: Runtime, package: Package, open_frontend: Callable[[], Any]
) -> None:
    wrongly_slow(runtime.load(package))
    runtime.apply([single("eta", package.digest)])
    frontend, stub = open_frontend()
    assert not frontend.paths["eta"].is_native
    assert frontend.paths["eta"].reason == "slow"
    assert "1000.0 ms for a row of eta@1" in frontend.paths["eta"].detail
    stub.ModelInfer(request(), timeout=60)
    assert frontend.counts["taken"] == 0
    frontend.review_paths()
    assert frontend.paths["eta"].is_native
    stub.ModelInfer(request(), timeout=60)
    assert frontend.counts["taken"] == 1


@pytest.mark.slow
def test_a_slow_model_that_was_found_quick_leaves_the_loops(
    runtime: Runtime, tmp_path: Path, open_frontend: Callable[[], Any]
) -> None:
    (tmp_path / "wide.onnx").write_bytes(dense_network(WIDE, "score"))
    wide = write_raw_model(tmp_path / "wide.onnx", tmp_path / "wide", "wide", "1")
    model = runtime.load(wide)
    assert model.row_latency.is_slow
    model.row_latency.replace(0.0)
    runtime.apply([single("wide", wide.digest)])
    frontend, stub = open_frontend()
    assert frontend.paths["wide"].is_native
    for _ in range(20):
        stub.ModelInfer(wide_request(), timeout=60)
    assert frontend.counts["too slow"] > 0
    frontend.review_paths()
    assert frontend.paths["wide"].reason == "slow"
    taken = frontend.counts["taken"]
    stub.ModelInfer(wide_request(), timeout=60)
    assert frontend.counts["taken"] == taken
    # Tried again, it is found as slow as it is.
    frontend.review_paths()
    assert frontend.paths["wide"].reason == "slow"


def test_routes_that_did_not_move_keep_their_native_targets(
    runtime: Runtime, package: Package, tmp_path: Path, open_frontend: Callable[[], Any]
) -> None:
    other = make_package(tmp_path / "other", None, version="2")
    runtime.load(package)
    wrongly_slow(runtime.load(other))
    runtime.apply([single("eta", package.digest), single("other", other.digest)])
    frontend, _ = open_frontend()
    (before,) = (dict(built) for built in frontend._routes._built)
    frontend.review_paths()
    (after,) = frontend._routes._built
    assert before.keys() == {"eta"}
    assert after.keys() == {"eta", "other"}
    assert after["eta"] is before["eta"]


def test_pauses_grow_while_trials_fail_and_a_trusted_route_begins_again(
    runtime: Runtime, package: Package
) -> None:
    now = [100.0]
    selector = PathSelector(lambda: now[0])
    model = runtime.load(package)
    runtime.apply([single("eta", package.digest)])
    selector.follow(runtime._table.served)
    pauses = []
    for _ in range(8):
        assert selector.review({"eta": 2 * SLOW_SECONDS}, [])
        started = now[0]
        while not selector.due():
            now[0] += 1.0
        pauses.append(now[0] - started)
        assert not selector.review({}, []), "without a new measurement nothing moves"
        assert selector.review({}, [model])
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]
    now[0] += 10_000.0
    assert selector.review({"eta": 2 * SLOW_SECONDS}, [])
    now[0] += path_selector.FIRST_PAUSE_SECONDS
    assert selector.due() == [model]


def test_calls_of_a_quick_model_stay_on_the_event_loop_beside_a_busy_thread(
    runtime: Runtime, package: Package, busy: BusyInterpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    widen_thresholds(monkeypatch)
    model = runtime.load(package)
    model.engine = GivesWay(model.engine, busy, works_in_caller=True)
    runtime.apply([single("eta", package.digest)])
    executor = ExecutorSelector(2, runtime)

    async def call() -> str:
        def predict() -> str:
            runtime.predict("eta", ROW)
            return threading.current_thread().name

        return await executor.run("eta", 100, predict)

    async def calls() -> list[str]:
        return [await call() for _ in range(20)]

    threads = asyncio.run(calls())
    assert threads[0].startswith("predict")
    assert threads[-1] == threading.current_thread().name
    executor.close()


def test_an_agent_beside_a_busy_thread_knows_that_its_model_is_quick(
    package: Package, busy: BusyInterpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    widen_thresholds(monkeypatch)
    agent = Agent(package=package.path)
    with agent:
        agent.wait_ready(30)
        agent.predict(ROW)
        (model,) = agent._node.runtime.models.values()
        assert model.row_latency.is_quick
        model.engine = GivesWay(model.engine, busy, works_in_caller=True)
        model.measure_row()
        assert model.row_latency.is_quick


def test_a_route_that_needs_python_anyway_is_not_measured_for_its_speed(
    runtime: Runtime, package: Package, open_frontend: Callable[[], Any]
) -> None:
    model = runtime.load(package)
    wrongly_slow(model)
    model.batching = Batching(max_rows=8)
    runtime.apply([single("eta", package.digest)])
    frontend, _ = open_frontend()
    assert frontend.paths["eta"].reason == "batching"
    frontend.review_paths()
    assert model.row_latency.is_slow, "nothing was measured again"


def samples(handler: Handler) -> set[tuple[str, str, str]]:
    collector = ServingCollector(handler, make_admission(FrontendSettings(port=0), handler))
    (family,) = (one for one in collector.collect() if one.name == "gnomon_route_path")
    labels = ("route", "path", "reason")
    return {tuple(one.labels[name] for name in labels) for one in family.samples}  # type: ignore[misc]


def test_metrics_and_log_say_which_path_and_why(
    runtime: Runtime,
    package: Package,
    open_frontend: Callable[[], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = runtime.load(package)
    runtime.apply([single("eta", package.digest)])
    assert samples(Handler(runtime)) == {("eta", "python", "frontend")}
    with caplog.at_level("INFO", "gnomon.server.serving.native.native_routes"):
        frontend, _ = open_frontend()
        assert samples(frontend._handler) == {("eta", "native", "")}
        model.batching = Batching(max_rows=8)
        runtime.apply([single("eta", package.digest)])
        runtime.apply([single("eta", package.digest)])
        assert samples(frontend._handler) == {("eta", "python", "batching")}
    assert caplog.messages == [
        "route eta is answered by the native loops",
        "route eta is answered by Python: its rows are gathered with those of other calls",
    ]


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1.5, float("nan")])
def test_a_switch_interval_has_bounds(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"switch_interval_seconds should be 1e-05 to 1.0, got"):
        ServeSettings(switch_interval_seconds=seconds)


def test_the_deprecated_setting_door_still_works_and_warns() -> None:
    with pytest.warns(DeprecationWarning, match="'door' is deprecated; use 'frontend'"):
        settings = ServeSettings(door="grpcio")
    assert (settings.frontend, settings.door) == ("grpcio", "")
    assert ServeSettings(frontend="native").frontend == "native"
    with (
        pytest.warns(DeprecationWarning),
        pytest.raises(ValueError, match="give one of them, not 'grpcio' and 'native'"),
    ):
        ServeSettings(door="grpcio", frontend="native")
    with (
        pytest.warns(DeprecationWarning),
        pytest.raises(ValueError, match="frontend should be one of"),
    ):
        ServeSettings(door="other")
