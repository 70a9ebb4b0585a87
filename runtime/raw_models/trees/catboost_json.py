"""CatBoost's models as JSON (of `save_model` with the format "json"): numeric features only.

CatBoost rounds features to float32 and goes right above a border. A feature's treatment of NaN says
whether it is below all borders or above them. Trees whose levels split alike ("oblivious") list
their splits once; others nest their nodes. Sums are float64, then scaled and biased.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gnomon.core.trees.layout import Link, ModelFlag, SlotFlag, TreeWriter
from gnomon.runtime.raw_models.trees.reading import UnreadableTrees, reads

__all__ = ["read_catboost"]

#: Loss → link.
_LINKS = {
    "Logloss": Link.SIGMOID,
    "CrossEntropy": Link.SIGMOID,
    "MultiClass": Link.SOFTMAX,
    "MultiClassOneVsAll": Link.SIGMOID,
    "Poisson": Link.EXP,
    "Tweedie": Link.EXP,
}
_NAN_RIGHT = "AsTrue"
_DEPTH = 16


@reads("CatBoost")
def read_catboost(content: bytes) -> TreeWriter:
    """Return a model of CatBoost as a file of trees.

    Raises:
        UnreadableTrees: the file is malformed, or has what no file of trees holds.
    """
    model = json.loads(content)
    info = model["features_info"]
    for kind in ("categorical_features", "text_features", "embedding_features", "ctrs"):
        if info.get(kind):
            raise UnreadableTrees(f"it has {kind.replace('_', ' ')}, which only CatBoost computes")
    scale, biases = model["scale_and_bias"]
    columns = _Columns(info["float_features"])
    outputs = len(biases)
    writer = TreeWriter(
        features=columns.count,
        outputs=outputs,
        leaf_width=outputs,
        flags=ModelFlag.TAKES_MISSING | ModelFlag.SCALES,
        link=_link(model),
        scale=float(scale),
        biases=[float(one) for one in biases],
        text={"trainer": "CatBoost", "features": columns.names},
    )
    for tree in model.get("oblivious_trees", ()):
        _add_oblivious(writer, tree, columns)
    for tree in model.get("trees", ()):
        _add_nested(writer, tree, columns)
    return writer


class _Columns:
    """Where the float features of a model are among all, and how each treats NaN."""

    def __init__(self, features: Sequence[Mapping[str, Any]]) -> None:
        self.places = [int(one["flat_feature_index"]) for one in features]
        self.count = max(self.places) + 1
        self._flags = [
            SlotFlag.FLOAT32
            | (
                SlotFlag(0)
                if one.get("nan_value_treatment") == _NAN_RIGHT
                else SlotFlag.MISSING_LEFT
            )
            for one in features
        ]
        named = {
            place: one.get("feature_id", "")
            for place, one in zip(self.places, features, strict=True)
        }
        self.names = [named.get(place, "") for place in range(self.count)]

    def slot(self, writer: TreeWriter, split: Mapping[str, Any]) -> int:
        """Return the slot of a split."""
        if split.get("split_type", "FloatFeature") != "FloatFeature":
            raise UnreadableTrees(f"it has a split of the type {split['split_type']}")
        feature = int(split["float_feature_index"])
        if feature < 0:
            raise IndexError(f"there is no float feature {feature}")
        return writer.slot(self.places[feature], self._flags[feature])


def _link(model: Mapping[str, Any]) -> Link:
    """Return the link of a model's loss, as its records say."""
    parameters = model.get("model_info", {}).get("params", {})
    parameters = json.loads(parameters) if isinstance(parameters, str) else parameters
    loss = parameters.get("loss_function", {}).get("type", "")
    return _LINKS.get(loss, Link.IDENTITY)


def _leaf(writer: TreeWriter, values: Sequence[float]) -> float:
    if writer.leaf_width == 1:
        (value,) = values
        return float(value)
    return writer.add_values([float(one) for one in values])


def _add_oblivious(writer: TreeWriter, tree: Mapping[str, Any], columns: _Columns) -> None:
    """Add a tree of which each level has one split; the first split is a leaf's lowest bit."""
    splits = tree.get("splits") or []
    depth, width = len(splits), writer.leaf_width
    values = tree["leaf_values"]
    if depth > _DEPTH or len(values) != width << depth:
        raise UnreadableTrees(f"a tree of {depth} levels has {len(values)} leaf values")
    inner = (1 << depth) - 1
    places = np.arange(2 * inner + 1)
    left = np.where(places < inner, 2 * places + 1, -1)
    levels = [depth - (int(place) + 1).bit_length() for place in places[:inner]]
    slots = [columns.slot(writer, splits[level]) for level in levels]
    numbers = [float(splits[level]["border"]) for level in levels]
    leaves = [_leaf(writer, values[width * one : width * (one + 1)]) for one in range(1 << depth)]
    writer.add_tree(
        left,
        left + 1,
        np.array(slots + [0] * len(leaves)),
        np.array(numbers + leaves, np.float64),
    )


def _add_nested(writer: TreeWriter, tree: Mapping[str, Any], columns: _Columns) -> None:
    """Add a tree whose nodes hold each other."""
    left: list[int] = []
    right: list[int] = []
    slots: list[int] = []
    numbers: list[float] = []
    waiting: list[tuple[Mapping[str, Any], list[int], int]] = [(tree, [0], 0)]
    while waiting:
        node, children, parent = waiting.pop()
        children[parent] = len(left)
        left.append(-1)
        right.append(-1)
        if "split" not in node:
            value = node["value"]
            slots.append(0)
            numbers.append(_leaf(writer, value if isinstance(value, list) else [value]))
            continue
        slots.append(columns.slot(writer, node["split"]))
        numbers.append(float(node["split"]["border"]))
        place = len(left) - 1
        waiting += [(node["left"], left, place), (node["right"], right, place)]
    writer.add_tree(np.array(left), np.array(right), np.array(slots), np.array(numbers))
