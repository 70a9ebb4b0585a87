"""Reads a TreeEnsembleRegressor of an ONNX model as a file of trees.

ONNX Runtime rounds features and thresholds to float32 and sums in float32, tree after tree; base
values are added at the end. A missing value goes to the false branch unless a node says otherwise.
With several threads ONNX Runtime adds the trees of one row in another order.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from gnomon.core.trees.layout import OUTPUTS_LIMIT, ModelFlag, SlotFlag, TreeWriter
from gnomon.pipeline.formats.importing import Source
from gnomon.pipeline.proofs.tree_proof import compare_with_trainer
from gnomon.runtime.raw_models.trees.reading import UnreadableTrees, reads

__all__ = ["from_onnx", "read_onnx_trees"]

_OPERATOR = "TreeEnsembleRegressor"
#: Mode → whether the true branch is of small values, and whether equal ones are among these.
_MODES = {
    b"BRANCH_LEQ": (True, True),
    b"BRANCH_LT": (True, False),
    b"BRANCH_GT": (False, True),
    b"BRANCH_GTE": (False, False),
}
_LEAF = b"LEAF"


def from_onnx(path: Path, *, proof: bool = True) -> Source:
    """Read the trees of an ONNX file, and compare them with ONNX Runtime unless `proof` is false.

    Raises:
        UnreadableTrees: the model is more than one ensemble of regression trees.
        PackageError: the trees answer otherwise than ONNX Runtime.
    """
    file = read_onnx_trees(path.read_bytes())
    found = compare_with_trainer("ONNX Runtime", path, file) if proof else None
    return Source(path.name, "trees", file, proof=found)


@reads("ONNX")
def read_onnx_trees(content: bytes) -> TreeWriter:
    """Return an ONNX model of one TreeEnsembleRegressor as a file of trees.

    Raises:
        UnreadableTrees: it has other operators, or what no file of trees holds.
    """
    graph = _parse(content).graph
    operators = [one.op_type for one in graph.node]
    if operators != [_OPERATOR]:
        raise UnreadableTrees(f"its operators are {', '.join(operators)}, expected {_OPERATOR}")
    (given,) = graph.input
    shape = given.type.tensor_type
    if shape.elem_type != onnx.TensorProto.FLOAT:
        raise UnreadableTrees("its input is not a tensor of float32")
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in graph.node[0].attribute}
    return _read(attributes, shape.shape.dim[1].dim_value)


def _parse(content: bytes) -> onnx.ModelProto:
    try:
        return onnx.load_from_string(content)
    except Exception as error:
        raise UnreadableTrees(f"the file is no ONNX model: {error}") from error


def _read(attributes: Mapping[str, Any], width: int) -> TreeWriter:
    aggregate = attributes.get("aggregate_function", b"SUM")
    if aggregate not in (b"SUM", b"AVERAGE"):
        raise UnreadableTrees(f"it aggregates trees by {aggregate.decode()}")
    if attributes.get("post_transform", b"NONE") != b"NONE":
        raise UnreadableTrees(f"it has the link {attributes['post_transform'].decode()}")
    if any(name.endswith("_as_tensor") for name in attributes):
        raise UnreadableTrees("its thresholds are float64")
    outputs = int(attributes.get("n_targets", 1))
    if not 0 < outputs <= OUTPUTS_LIMIT:
        raise UnreadableTrees(f"it has {outputs} targets; 1 to {OUTPUTS_LIMIT} are possible")
    nodes = _by_tree(attributes)
    features = np.asarray(attributes["nodes_featureids"], np.int64)
    biases = [float(one) for one in attributes.get("base_values", ())]
    writer = TreeWriter(
        features=width or int(features.max()) + 1,
        outputs=outputs,
        leaf_width=outputs,
        flags=ModelFlag.FLOAT_SUMS
        | ModelFlag.FLOAT_ANSWER
        | ModelFlag.TAKES_MISSING
        | (ModelFlag.SCALES if any(biases) else ModelFlag(0)),
        divisor=float(len(nodes)) if aggregate == b"AVERAGE" else 1.0,
        biases=biases,
        text={"trainer": "ONNX"},
    )
    leaves = _leaves(attributes, outputs)
    for tree, places in nodes.items():
        _add_tree(writer, attributes, tree, places, leaves)
    return writer


def _by_tree(attributes: Mapping[str, Any]) -> dict[int, list[int]]:
    """Return the places of each tree's nodes, trees in their order."""
    found: dict[int, list[int]] = {}
    for place, tree in enumerate(attributes["nodes_treeids"]):
        found.setdefault(int(tree), []).append(place)
    return found


def _leaves(attributes: Mapping[str, Any], outputs: int) -> dict[tuple[int, int], list[float]]:
    """Return the values of each leaf by its tree and node."""
    columns = [attributes[f"target_{one}"] for one in ("treeids", "nodeids", "ids", "weights")]
    found: dict[tuple[int, int], list[float]] = {}
    for tree, node, output, weight in zip(*columns, strict=True):
        values = found.setdefault((int(tree), int(node)), [0.0] * outputs)
        if not 0 <= output < outputs:
            raise UnreadableTrees(f"tree {tree} has a target {output}, of {outputs}")
        values[output] += float(weight)
    return found


def _add_tree(
    writer: TreeWriter,
    attributes: Mapping[str, Any],
    tree: int,
    places: list[int],
    leaves: Mapping[tuple[int, int], list[float]],
) -> None:
    own = {int(attributes["nodes_nodeids"][place]): at for at, place in enumerate(places)}
    left, right = np.full(len(places), -1), np.full(len(places), -1)
    slots, numbers = np.zeros(len(places), np.int64), np.zeros(len(places))
    tracks = attributes.get("nodes_missing_value_tracks_true") or [0] * len(
        attributes["nodes_treeids"]
    )
    for at, place in enumerate(places):
        mode = attributes["nodes_modes"][place]
        if mode == _LEAF:
            values = leaves.get((tree, int(attributes["nodes_nodeids"][place])), [0.0])
            numbers[at] = values[0] if writer.leaf_width == 1 else writer.add_values(values)
            continue
        if mode not in _MODES:
            raise UnreadableTrees(f"a node has the mode {mode.decode()}")
        is_small, has_equal = _MODES[mode]
        branches = [attributes[f"nodes_{one}nodeids"][place] for one in ("true", "false")]
        true, false = (own[int(one)] for one in branches)
        left[at], right[at] = (true, false) if is_small else (false, true)
        numbers[at] = _threshold(attributes["nodes_values"][place], has_equal)
        flags = SlotFlag.MISSING_LEFT if bool(tracks[place]) == is_small else SlotFlag(0)
        feature = int(attributes["nodes_featureids"][place])
        slots[at] = writer.slot(feature, SlotFlag.FLOAT32 | flags)
    writer.add_tree(left, right, slots, numbers)


def _threshold(value: float, has_equal: bool) -> float:
    """Return up to which number values go left; right are the others."""
    given = np.float32(value)
    return float(given if has_equal else np.nextafter(given, np.float32(-np.inf)))
