"""Trees of ONNX models give the bits of ONNX Runtime with one thread."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gnomon.core.trees import TreeModel
from gnomon.core.trees.splits import hostile_rows, read_splits
from gnomon.pipeline.formats.onnx_trees import read_onnx_trees
from gnomon.pipeline.proofs.tree_oracle import ask_onnx_runtime
from gnomon.runtime.raw_models.trees.reading import UnreadableTrees
from tests.support.trees import assert_same_bits

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE")


def ensemble(targets: int = 1, trees: int = 12, **changes: Any) -> bytes:
    """Return a model of trees of three levels with every mode of branches."""
    random = np.random.default_rng(0)
    names = ("treeids", "nodeids", "featureids", "values", "truenodeids", "falsenodeids", "modes")
    rows: list[tuple[Any, ...]] = []
    leaves: list[tuple[int, int, int, float]] = []
    for tree in range(trees):
        for node in range(15):
            children = (2 * node + 1, 2 * node + 2) if node < 7 else (0, 0)
            mode = str(random.choice(MODES)) if node < 7 else "LEAF"
            value = float(np.float32(random.standard_normal()))
            rows.append((tree, node, int(random.integers(0, 3)), value, *children, mode))
            if node >= 7:
                leaves += [(tree, node, one, float(random.normal())) for one in range(targets)]
    given: dict[str, Any] = {
        f"nodes_{name}": list(column)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    given["nodes_missing_value_tracks_true"] = [
        int(one) for one in random.integers(0, 2, len(rows))
    ]
    for name, column in zip(
        ("treeids", "nodeids", "ids", "weights"), zip(*leaves, strict=True), strict=True
    ):
        given[f"target_{name}"] = list(column)
    given |= {"n_targets": targets, **changes}
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **given)
    return model(node)


def model(*nodes: onnx.NodeProto, kind: int = TensorProto.FLOAT) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "trees",
        [helper.make_tensor_value_info("x", kind, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", None])],
    )
    opsets = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    content: bytes = made.SerializeToString()
    return content


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"base_values": [0.3]},
        {"aggregate_function": "AVERAGE", "base_values": [0.7]},
        {"trees": 90},
        {"targets": 2},
        {"targets": 2, "aggregate_function": "AVERAGE", "base_values": [0.1, 0.2]},
    ],
)
def test_answers_have_the_bits_of_onnx_runtime(tmp_path: Path, changes: dict[str, Any]) -> None:
    pytest.importorskip("onnxruntime")
    content = ensemble(**changes)
    (tmp_path / "model.onnx").write_bytes(content)
    file = read_onnx_trees(content)
    rows = hostile_rows(read_splits(file), 3, 800)
    expected, _ = ask_onnx_runtime(str(tmp_path / "model.onnx"), rows)
    assert expected is not None
    trees = TreeModel(file)
    assert_same_bits(trees.predict(rows), expected)
    assert_same_bits(trees.scores_alone(rows), expected)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ensemble(aggregate_function="MAX"), "by MAX"),
        (ensemble(post_transform="LOGISTIC"), "link LOGISTIC"),
        (ensemble(nodes_modes=["BRANCH_EQ"] * 180), "BRANCH_EQ"),
        (ensemble(n_targets=1 << 60), "targets; 1 to"),
        (ensemble(target_ids=[5] * 96), "target 5"),
        (ensemble(nodes_truenodeids=[99] * 180), "cannot be read"),
        (model(helper.make_node("Identity", ["x"], ["y"])), "operators are Identity"),
        (b"nonsense", "no ONNX model"),
    ],
)
def test_what_is_no_file_of_trees_is_refused_by_name(content: bytes, said: str) -> None:
    with pytest.raises(UnreadableTrees, match=said):
        read_onnx_trees(content)
