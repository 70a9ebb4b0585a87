"""LightGBM's text model: the trees, and how LightGBM treats what it is given.

Numbers up to 1e-35 (as float32) in magnitude are zero for LightGBM. A node says of what is missing:
nothing (NaN is zero), that zeros are missing, or that NaN is. Sums are float64, in the order of the
trees.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.trees.layout import Link, ModelFlag, SetFlag, SlotFlag, TreeWriter
from gnomon.runtime.raw_models.trees.reading import UnreadableTrees, reads

__all__ = ["read_lightgbm"]

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_SHIFT = 2
_NOTHING, _ZERO, _NAN = 0, 1, 2

#: Objective → link, if it takes no argument that matters.
_LINKS = {
    "binary": Link.SIGMOID,
    "multiclassova": Link.SIGMOID,
    "multiclass": Link.SOFTMAX,
    "poisson": Link.EXP,
    "gamma": Link.EXP,
    "tweedie": Link.EXP,
    "cross_entropy": Link.SIGMOID,
    "xentropy": Link.SIGMOID,
    "cross_entropy_lambda": Link.LOG1P_EXP,
    "xentlambda": Link.LOG1P_EXP,
}
#: What answers with its raw scores.
_IDENTITY = (
    "",
    "custom",
    "regression",
    "regression_l1",
    "huber",
    "fair",
    "quantile",
    "mape",
    "lambdarank",
    "rank_xendcg",
)


@reads("LightGBM")
def read_lightgbm(content: bytes) -> TreeWriter:
    """Return a text model as a file of trees.

    Raises:
        UnreadableTrees: the text is malformed, or has what no file of trees holds.
    """
    blocks = _blocks(content.decode("utf-8"))
    head = next(blocks)
    classes = int(head.get("num_tree_per_iteration", head.get("num_class", "1")))
    trees = list(blocks)
    if classes < 1 or len(trees) % classes:
        raise UnreadableTrees(f"{len(trees)} trees are not of {classes} for each round")
    link, factor = _link(head.get("objective", ""))
    writer = TreeWriter(
        features=int(head["max_feature_idx"]) + 1,
        outputs=classes,
        flags=ModelFlag.TAKES_MISSING,
        link=link,
        factor=factor,
        # A random forest: the mean of its rounds.
        divisor=max(len(trees) // classes, 1) if "average_output" in head else 1,
        text={"trainer": "LightGBM", "features": head.get("feature_names", "").split()},
    )
    for index, tree in enumerate(trees):
        _add_tree(writer, tree, index % classes)
    return writer


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """Yield the keys of the head and of each tree."""
    head, *rest = text.split("end of trees")[0].split("\nTree=")
    for block in (head, *rest):
        lines = [line for line in block.splitlines() if line]
        yield {key: value for key, _, value in (line.partition("=") for line in lines)}


def _link(objective: str) -> tuple[Link, float]:
    """Return the link of an objective and its factor."""
    name, *settings = objective.split() or [""]
    given = dict(setting.split(":", 1) for setting in settings if ":" in setting)
    if "sqrt" in settings:
        return Link.SIGNED_SQUARE, 1.0
    if name in _LINKS:
        factor = float(given.get("sigmoid", "1")) if _LINKS[name] is Link.SIGMOID else 1.0
        return _LINKS[name], factor
    if name not in _IDENTITY:
        raise UnreadableTrees(f"objective {name!r} is not known")
    return Link.IDENTITY, 1.0


def _add_tree(writer: TreeWriter, tree: Mapping[str, str], output: int) -> None:
    if tree.get("is_linear", "0") != "0":
        raise UnreadableTrees("a tree has linear models in its leaves")
    values = _numbers(tree["leaf_value"], np.float64)
    leaves = int(tree["num_leaves"])
    if len(values) != leaves:
        raise UnreadableTrees(f"a tree has {len(values)} leaf values, expected {leaves}")
    inner = leaves - 1
    no_children, no_slots = np.full(leaves, -1), np.zeros(leaves, np.int64)
    if inner == 0:
        writer.add_tree(no_children, no_children, no_slots, values, output)
        return
    names = ("left_child", "right_child", "split_feature", "decision_type")
    left, right, features, kinds = (_numbers(tree[name], np.int64) for name in names)
    thresholds = _numbers(tree["threshold"], np.float64)
    if any(len(one) != inner for one in (left, right, features, kinds, thresholds)):
        raise UnreadableTrees(f"a tree of {leaves} leaves should have {inner} of each inner node's")
    slots = [
        writer.slot(int(feature), _slot_flags(int(kind)))
        for feature, kind in zip(features, kinds, strict=True)
    ]
    if (kinds & _CATEGORICAL).any():
        _place_sets(writer, tree, kinds, thresholds)
    # A child of -1 is leaf 0, and so on; leaves stand behind the inner nodes.
    left, right = (np.where(one < 0, inner + ~one, one) for one in (left, right))
    writer.add_tree(
        np.concatenate([left, no_children]),
        np.concatenate([right, no_children]),
        np.concatenate([slots, no_slots]),
        np.concatenate([thresholds, values]),
        output,
    )


def _slot_flags(kind: int) -> SlotFlag:
    """Return how a node of this `decision_type` sees its feature."""
    flags = SlotFlag.TINY_IS_ZERO
    if kind & _CATEGORICAL:
        return flags | SlotFlag.CATEGORY | SlotFlag.CATEGORY_TRUNCATE
    missing = kind >> _MISSING_SHIFT
    if missing == _NOTHING:
        return flags | SlotFlag.MISSING_ZERO
    if missing not in (_ZERO, _NAN):
        raise UnreadableTrees(f"decision type {kind} is not known")
    if missing == _ZERO:
        flags |= SlotFlag.ZERO_IS_MISSING
    return flags | SlotFlag.MISSING_LEFT if kind & _DEFAULT_LEFT else flags


def _place_sets(
    writer: TreeWriter,
    tree: Mapping[str, str],
    kinds: NDArray[np.int64],
    thresholds: NDArray[np.float64],
) -> None:
    """Replace the thresholds of categorical nodes, which number the tree's sets, by places."""
    bounds = _numbers(tree["cat_boundaries"], np.int64)
    words = _numbers(tree["cat_threshold"], np.uint32)
    flags = SetFlag.OUTSIDE_RIGHT | SetFlag.MISSING_RIGHT
    for node in np.flatnonzero(kinds & _CATEGORICAL):
        number = int(thresholds[node])
        if not 0 <= number < len(bounds) - 1:
            raise UnreadableTrees(f"a tree has no set of categories {number}")
        own = words[bounds[number] : bounds[number + 1]]
        bits = np.unpackbits(own.view(np.uint8), bitorder="little")
        thresholds[node] = writer.add_set(np.flatnonzero(bits).tolist(), flags)


def _numbers(text: str, dtype: Any) -> NDArray[Any]:
    return np.array(text.split(), dtype=dtype)
