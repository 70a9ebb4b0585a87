"""A small dense network as ONNX: the model in benchmarks of the predict path."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def dense_network(layers: Sequence[int], output: str, seed: int = 5) -> bytes:
    """Return dense layers with ReLU between them; a seed's random weights are always the same.

    Args:
        layers: units of each layer, the input's `features` first.
        output: name of the tensor (N, layers[-1]) that comes out.
        seed: of the weights.
    """
    rng = np.random.default_rng(seed)
    nodes, constants, source = [], [], "features"
    for index, (width, units) in enumerate(pairwise(layers)):
        is_last = index == len(layers) - 2
        weights = (rng.normal(size=(width, units)) / math.sqrt(width)).astype(np.float32)
        constants.append(numpy_helper.from_array(weights, f"w{index}"))
        constants.append(numpy_helper.from_array(np.zeros(units, np.float32), f"b{index}"))
        target = output if is_last else f"h{index}"
        nodes.append(helper.make_node("Gemm", [source, f"w{index}", f"b{index}"], [target]))
        source = target
        if not is_last:
            source = f"r{index}"
            nodes.append(helper.make_node("Relu", [target], [source]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", layers[0]])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", layers[-1]])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    encoded: bytes = model.SerializeToString()
    return encoded
