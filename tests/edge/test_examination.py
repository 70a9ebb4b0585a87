"""A package that hangs, crashes or takes all memory is given up apart from the node, and named."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from gnomon.edge import examination
from gnomon.edge.examination import PackageExaminer
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import EngineError, PackageError, StorageError
from gnomon.runtime.packages.signing import Signer
from tests.support.node_story import GOOD, Story
from tests.support.packages import linear_onnx, make_package
from tests.support.waiting import wait_for

GIB = 1 << 30


def model_with(*nodes: Any, constants: dict[str, Any]) -> bytes:
    """Return the small model, whose output these nodes change from `plain` to `air_time`."""
    weights = np.array([0.125, 0.1, 0.0, 10.0, 0.0], np.float32).reshape(-1, 1)
    constants = {"weights": weights, **constants}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "weights"], ["plain"]), *nodes],
        "hostile",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 5])],
        [helper.make_tensor_value_info("air_time", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def greedy() -> bytes:
    """Return a model of a kilobyte that asks for 2 GiB when it runs."""
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.0])
    return model_with(
        helper.make_node("ConstantOfShape", ["shape"], ["many"], value=value),
        helper.make_node("ReduceSum", ["many"], ["sum"], keepdims=0),
        helper.make_node("Add", ["plain", "sum"], ["air_time"]),
        constants={"shape": np.array([1 << 29], np.int64)},
    )


def endless() -> bytes:
    """Return a model that repeats something for years."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["again"], ["and_again"]),
            helper.make_node("Sin", ["state"], ["next_state"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["N", 1]),
        ],
        [
            helper.make_tensor_value_info("and_again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next_state", TensorProto.FLOAT, ["N", 1]),
        ],
    )
    return model_with(
        helper.make_node("Loop", ["count", "", "plain"], ["air_time"], body=body),
        constants={"count": np.array(1 << 50, np.int64)},
    )


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., hub_pb2.PackageRef]:
    """Make a package in a folder of slots; return how a hub names it."""

    def installed(model: bytes | None = None, version: str = "1") -> hub_pb2.PackageRef:
        package = make_package(tmp_path / "made", None, model=model, version=version)
        (tmp_path / "slots").mkdir(exist_ok=True)
        package.path.rename(tmp_path / "slots" / package.digest)
        return hub_pb2.PackageRef(name="eta", version=version, digest=package.digest, format="onnx")

    return installed


@pytest.fixture
def examiner(tmp_path: Path) -> Iterator[PackageExaminer]:
    examiner = PackageExaminer(tmp_path / "slots", 60.0, GIB)
    yield examiner
    examiner.stop()


def examine(examiner: PackageExaminer, package: hub_pb2.PackageRef) -> None:
    while not examiner.examine(package, 5.0):
        pass


@pytest.mark.slow
def test_a_good_package_passes_once_and_one_with_other_answers_does_not(
    examiner: PackageExaminer, installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = installed()
    examine(examiner, good)
    other = installed(linear_onnx([0.125, 0.1, 0.0, 10.0, 0.0], 5.0), "2")
    with pytest.raises(PackageError, match="golden samples"):
        examine(examiner, other)
    monkeypatch.setattr(examination.sys, "executable", "/nothing")
    assert examiner.examine(good, 0.0)
    with pytest.raises(StorageError, match="no process can be started to examine eta@2"):
        examiner.examine(other, 0.0)


@pytest.mark.slow
def test_a_small_file_that_asks_for_much_memory_is_refused(
    examiner: PackageExaminer, installed: Any
) -> None:
    with pytest.raises((PackageError, EngineError), match=r"(?i)memory|alloc"):
        examine(examiner, installed(greedy()))


@pytest.mark.slow
def test_what_crashes_its_process_is_given_up(
    examiner: PackageExaminer, installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "_PROGRAM", "import os; os.abort()")
    package = installed()
    for _ in range(2):
        with pytest.raises(EngineError, match=r"eta@1: its process ended with -6.*given up"):
            examine(examiner, package)
        monkeypatch.setattr(examination, "_PROGRAM", "")  # it is not tried again


@pytest.mark.slow
def test_the_node_goes_first_for_processor_and_memory(
    examiner: PackageExaminer, installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import json, os, sys; sys.path.insert(0, sys.argv[1]); "
        "from gnomon.edge.examination_worker import yield_to_node; before = os.nice(0); "
        "yield_to_node(); score = open('/proc/self/oom_score_adj').read().strip(); "
        "print(json.dumps({'error': f'{os.nice(0) > before} {score}'}))"
    )
    monkeypatch.setattr(examination, "_PROGRAM", program)
    with pytest.raises(PackageError, match="True 1000"):
        examine(examiner, installed())


def test_time_is_bounded_and_another_package_takes_the_place(
    tmp_path: Path, installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(examination, "_PROGRAM", "import time; time.sleep(600)")
    examiner = PackageExaminer(tmp_path / "slots", 10.0, GIB, lambda: now)
    first, second = installed(), installed(None, "2")
    assert not examiner.examine(first, 0.0)
    running = examiner._running
    assert running is not None
    assert not examiner.examine(second, 0.0)
    assert running._process.returncode == -9
    now = 10.0
    with pytest.raises(EngineError, match="eta@2: it was not loaded and tried after 10 s"):
        examiner.examine(second, 0.0)
    with pytest.raises(EngineError, match="eta@2: it was not loaded"):
        examiner.examine(second, 0.0)
    assert not examiner.examine(first, 0.0)
    examiner.stop()
    assert PackageExaminer(tmp_path / "slots", 0.0, GIB).examine(first, 0.0)


@pytest.mark.slow
def test_a_package_that_hangs_stops_neither_telemetry_nor_other_models(
    story: Story, tmp_path: Path, signer: Signer
) -> None:
    other = Story(story.hub, "beside_one_that_hangs", tmp_path / "other", signer)
    story.publish()
    other.publish()
    with story.agent(token=story.hub.token(), examination_seconds=8.0) as agent:
        story.wait_for(agent, "1")
        other.wait_for(agent, "1")
        hanging = make_package(
            tmp_path / "hanging",
            signer,
            name=story.name,
            version="2",
            model=endless(),
            test_passed=True,
        )
        story.hub.publish(hanging)
        wait_for(lambda: agent.status().step == "examine")
        agent.predict(GOOD, model=story.name)
        wait_for(lambda: story.hub.rows(story.name) == {"answered": 1})
        wait_for(lambda: story.reported()["state"] == "STAGE")
        other.publish("2", bias=0.0001)  # takes the place of the state that is examined
        other.wait_for(agent, "2")
        refused = agent.status().refused[f"{story.name}@2"]
        assert "not loaded and tried after 8 s" in refused
        assert agent.predict(GOOD, model=story.name).version == "1"
        story.publish("3", bias=0.0001)
        story.wait_for(agent, "3")
