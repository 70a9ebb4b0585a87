"""Models of trees for benchmarks: trained here, and as each peer runs them."""

import ctypes
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEATURES", "lightgbm_row", "make_rows", "onnx_session", "train_lightgbm"]

FEATURES = 12
_TRAINING_ROWS = 20_000
_FLOAT64 = 1
_RAW_SCORE = 1

Rows = NDArray[np.float64]


def make_rows(count: int, seed: int = 1) -> Rows:
    """Return rows of `FEATURES` numbers, of shape (count, 12)."""
    return np.random.default_rng(seed).standard_normal((count, FEATURES))


def make_target(rows: Rows) -> Rows:
    """Return what the models learn, of shape (rows,)."""
    return rows[:, 0] * rows[:, 1] + np.sin(3 * rows[:, 2]) + rows[:, 3]


def train_lightgbm(trees: int) -> Any:
    """Return a regressor of LightGBM with trees of 31 leaves."""
    import lightgbm

    rows = make_rows(_TRAINING_ROWS, 0)
    settings = {"num_leaves": 31, "num_threads": 1, "verbose": -1}
    return lightgbm.train(settings, lightgbm.Dataset(rows, make_target(rows)), trees)


def lightgbm_row(booster: Any) -> Callable[[Rows], float]:
    """Return LightGBM's fast call for one row, through its C interface; shape (12,)."""
    from lightgbm.basic import _LIB  # type: ignore[attr-defined]

    fast = ctypes.c_void_p()
    settings = ctypes.c_char_p(b"num_threads=1")
    code = _LIB.LGBM_BoosterPredictForMatSingleRowFastInit(
        booster._handle, _RAW_SCORE, 0, -1, _FLOAT64, FEATURES, settings, ctypes.byref(fast)
    )
    if code:
        raise RuntimeError("LightGBM has no fast call for one row")
    length, score = ctypes.c_int64(), ctypes.c_double()
    call = _LIB.LGBM_BoosterPredictForMatSingleRowFast
    length_at, score_at = ctypes.byref(length), ctypes.byref(score)

    def predict(row: Rows) -> float:
        call(fast, ctypes.c_void_p(row.ctypes.data), length_at, score_at)
        return score.value

    return predict


def onnx_session(booster: Any) -> Any:
    """Return a session of ONNX Runtime with one thread over the same trees, as float32."""
    import onnxruntime
    from onnx import TensorProto, helper

    node = helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1, **_nodes(booster)
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
    )
    opsets = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _nodes(booster: Any) -> dict[str, Any]:
    """Return the attributes of ONNX's operator for a model of LightGBM."""
    keys = ("treeids", "nodeids", "featureids", "values", "truenodeids", "falsenodeids")
    made: dict[str, list[Any]] = {f"nodes_{key}": [] for key in (*keys, "modes")}
    made |= {f"target_{key}": [] for key in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(json.loads(json.dumps(booster.dump_model()))["tree_info"]):
        waiting: list[Mapping[str, Any]] = [tree["tree_structure"]]
        for place, node in enumerate(waiting):
            is_inner = "split_feature" in node
            children = (len(waiting), len(waiting) + 1) if is_inner else (0, 0)
            if is_inner:
                waiting += [node["left_child"], node["right_child"]]
                threshold = float(node["threshold"])
                values = (node["split_feature"], threshold, *children, "BRANCH_LEQ")
            else:
                values = (0, 0.0, *children, "LEAF")
                for key, value in zip(
                    ("treeids", "nodeids", "ids", "weights"),
                    (number, place, 0, float(node["leaf_value"])),
                    strict=True,
                ):
                    made[f"target_{key}"].append(value)
            for key, value in zip((*keys, "modes"), (number, place, *values), strict=True):
                made[f"nodes_{key}"].append(value)
    return made
