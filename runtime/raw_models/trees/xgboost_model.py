"""XGBoost's models as JSON or UBJSON: trees, categories, forests, DART.

XGBoost rounds features to float32, compares with `<`, and sums in float32 from the base score on.
NaN goes where a node says; zeros are zeros.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.trees import log_float32
from gnomon.core.trees.layout import Link, ModelFlag, SetFlag, SlotFlag, TreeWriter
from gnomon.runtime.raw_models.trees.reading import UnreadableTrees, reads
from gnomon.runtime.raw_models.trees.ubjson import decode_ubjson

__all__ = ["read_xgboost"]

_LINKS = {
    "binary:logistic": Link.SIGMOID_FLOAT,
    "reg:logistic": Link.SIGMOID_FLOAT,
    "binary:hinge": Link.POSITIVE,
    "multi:softprob": Link.SOFTMAX_FLOAT,
    "multi:softmax": Link.ARGMAX,
    "count:poisson": Link.EXP_FLOAT,
    "reg:gamma": Link.EXP_FLOAT,
    "reg:tweedie": Link.EXP_FLOAT,
    "survival:cox": Link.EXP_FLOAT,
    "survival:aft": Link.EXP_FLOAT,
}
#: XGBoost itself knows no category from here on.
_CATEGORIES = 1 << 24
_IDENTITY = (
    "binary:logitraw",
    "rank:map",
    "rank:ndcg",
    "rank:pairwise",
    "reg:absoluteerror",
    "reg:pseudohubererror",
    "reg:quantileerror",
    "reg:squarederror",
    "reg:squaredlogerror",
)


@reads("XGBoost")
def read_xgboost(content: bytes) -> TreeWriter:
    """Return a model of XGBoost as a file of trees.

    Raises:
        UnreadableTrees: the file is malformed, or has what no file of trees holds.
    """
    # JSON has no length of a name behind its first bracket.
    is_json = content.lstrip()[1:].lstrip()[:1] in (b'"', b"}")
    learner = (json.loads(content) if is_json else decode_ubjson(content))["learner"]
    booster, weights = _booster(learner["gradient_booster"])
    writer = _writer(learner, booster)
    outputs = booster["tree_info"]
    for index, tree in enumerate(booster["trees"]):
        weight = None if weights is None else np.float32(weights[index])
        _add_tree(writer, tree, int(outputs[index]), weight)
    return writer


def _booster(booster: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
    """Return the model of trees, and a weight for each tree or None."""
    if booster["name"] == "dart":
        return booster["gbtree"]["model"], booster["weight_drop"]
    if booster["name"] != "gbtree":
        raise UnreadableTrees(f"booster {booster['name']!r} has no trees")
    return booster["model"], None


def _writer(learner: Mapping[str, Any], booster: Mapping[str, Any]) -> TreeWriter:
    parameters = learner["learner_model_param"]
    outputs = max(int(parameters["num_class"]), int(parameters.get("num_target", 1)), 1)
    objective = learner["objective"]["name"]
    if objective not in _LINKS and objective not in _IDENTITY:
        raise UnreadableTrees(f"objective {objective!r} is not known")
    link = _LINKS.get(objective, Link.IDENTITY)
    text = parameters["base_score"]
    given = json.loads(text) if text.startswith("[") else [float(text)]
    if len(given) not in (1, outputs):
        raise UnreadableTrees(f"it has {len(given)} base scores for {outputs} outputs")
    starts = [_margin(np.float32(one), objective) for one in given]
    writer = TreeWriter(
        features=int(parameters["num_feature"]),
        outputs=outputs,
        flags=ModelFlag.FLOAT_SUMS | ModelFlag.TAKES_MISSING | ModelFlag.FLOAT_ANSWER,
        link=link,
        text={"trainer": "XGBoost", "features": list(learner.get("feature_names", []))},
    )
    writer.starts = starts if len(starts) == outputs else starts * outputs
    return writer


def _margin(score: np.float32, objective: str) -> float:
    """Return a base score as a raw score."""
    one = np.float32(1)
    if objective in ("binary:logistic", "reg:logistic"):
        return -log_float32(float(one / score - one))
    if _LINKS.get(objective) is Link.EXP_FLOAT:
        return log_float32(float(score))
    return float(score)


def _add_tree(
    writer: TreeWriter, tree: Mapping[str, Any], output: int, weight: np.float32 | None
) -> None:
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise UnreadableTrees("a tree has several values in each leaf")
    left, right, features = (
        np.asarray(tree[name], np.int64)
        for name in ("left_children", "right_children", "split_indices")
    )
    given = np.asarray(tree["split_conditions"], np.float64).astype(np.float32)
    lefts = np.asarray(tree["default_left"], np.int64)
    kinds = np.asarray(tree.get("split_type", [0] * len(left)), np.int64)
    is_inner = left >= 0
    # x < t in float32 is x <= the number before t.
    before = np.nextafter(given, np.float32(-np.inf))
    leaves = given if weight is None else given * weight
    numbers = np.where(is_inner, before, leaves).astype(np.float64)
    if kinds.any():
        _place_sets(writer, tree, lefts, numbers)
    slots = [
        writer.slot(int(feature), _slot_flags(bool(goes_left), bool(kind))) if inner else 0
        for feature, goes_left, kind, inner in zip(features, lefts, kinds, is_inner, strict=True)
    ]
    writer.add_tree(left, right, np.asarray(slots), numbers, output)


def _slot_flags(missing_left: bool, is_category: bool) -> SlotFlag:
    if is_category:
        return SlotFlag.FLOAT32 | SlotFlag.CATEGORY
    return SlotFlag.FLOAT32 | SlotFlag.MISSING_LEFT if missing_left else SlotFlag.FLOAT32


def _place_sets(
    writer: TreeWriter,
    tree: Mapping[str, Any],
    lefts: NDArray[np.int64],
    numbers: NDArray[np.float64],
) -> None:
    """Write the sets of categorical nodes. XGBoost's are of what goes right."""
    nodes, starts, sizes = (
        [int(one) for one in tree[name]]
        for name in ("categories_nodes", "categories_segments", "categories_sizes")
    )
    for node, start, size in zip(nodes, starts, sizes, strict=True):
        right = np.unique(np.asarray(tree["categories"][start : start + size], np.int64))
        flags = SetFlag(0) if lefts[node] else SetFlag.MISSING_RIGHT
        top = int(right.max(initial=-1)) + 1
        if top > _CATEGORIES or right.min(initial=0) < 0:
            raise UnreadableTrees(
                f"a tree has category {top - 1}; 0 to {_CATEGORIES - 1} are known"
            )
        left = np.setdiff1d(np.arange(top), right, assume_unique=True)
        numbers[node] = writer.add_set(left.tolist(), flags, top)
