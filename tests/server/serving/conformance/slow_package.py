"""A package whose model takes its time: large matrices multiplied for each request."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from gnomon.runtime.packages.manifest import Deployment
from gnomon.runtime.packages.package import Package
from tests.support.packages import make_package

SIZE, TIMES = 700, 6


def slow_model() -> bytes:
    """0 for every row, after two billion multiplications."""
    chain = [
        helper.make_node("MatMul", [f"m{number}", "m0"], [f"m{number + 1}"])
        for number in range(TIMES)
    ]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["features"], ["largest"], keepdims=0),
            helper.make_node("Mul", ["largest", "nought"], ["none"]),
            helper.make_node("Expand", ["none", "square"], ["m0"]),
            *chain,
            helper.make_node("ReduceMax", [f"m{TIMES}"], ["zero"], keepdims=0),
            helper.make_node("Slice", ["features", "first", "second", "axis"], ["column"]),
            helper.make_node("Mul", ["column", "zero"], ["air_time"]),
        ],
        "slow",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 5])],
        [helper.make_tensor_value_info("air_time", TensorProto.FLOAT, ["N", 1])],
        [
            numpy_helper.from_array(np.array(value), name)
            for name, value in (
                ("square", [SIZE, SIZE]),
                ("first", [0]),
                ("second", [1]),
                ("axis", [1]),
                ("nought", np.float32(0)),
            )
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data: bytes = made.SerializeToString()
    return data


def make_slow_package(folder: Path) -> Package:
    """Write it; it is called `slow`, and takes what `eta` takes."""
    made: Package = make_package(
        folder,
        None,
        model=slow_model(),
        name="slow",
        deployment=Deployment(window_seconds=3600, warm_up_runs=1),
    )
    return made
