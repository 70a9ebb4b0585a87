"""Reads the trees of fitted scikit-learn estimators: trees, forests, boosting, isolation forests.

Trees and forests of scikit-learn round features to float32; histogram boosting does not. Sums are
float64, in the order of the estimators. What a forest of several jobs adds in another order may
differ from it in the last bits; with one job it is the same.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.trees.layout import Link, ModelFlag, SetFlag, SlotFlag, TreeWriter
from gnomon.runtime.raw_models.trees.reading import UnreadableTrees

__all__ = ["has_trees", "read_estimator"]

_CATEGORY = SlotFlag.CATEGORY | SlotFlag.CATEGORY_EXACT
#: The largest category that is not text.
_CODES = 1 << 16

_TREES = ("DecisionTree", "ExtraTree")
_FORESTS = ("RandomForest", "ExtraTrees")
_KINDS = ("Classifier", "Regressor")


def has_trees(estimator: Any) -> bool:
    """Whether `read_estimator` knows this kind of estimator."""
    return type(estimator).__name__ in _READERS


def read_estimator(estimator: Any) -> bytes:
    """Return a fitted estimator as a file of trees.

    A regressor predicts its target. A classifier gives the probabilities of its classes, in their
    order; one that boosts for two classes gives that of the second. An isolation forest gives its
    `decision_function`.

    Raises:
        UnreadableTrees: the estimator is of another kind, or has what no file of trees holds.
    """
    if not has_trees(estimator):
        raise UnreadableTrees(
            f"{type(estimator).__name__} has no trees that are known; right would be one of "
            f"{', '.join(_READERS)}"
        )
    if not hasattr(estimator, "n_features_in_"):
        raise UnreadableTrees(f"{type(estimator).__name__} is not fitted")
    writer: TreeWriter = _READERS[type(estimator).__name__](estimator)
    return writer.to_bytes()


def _settings(estimator: Any) -> dict[str, Any]:
    takes_missing = estimator.__sklearn_tags__().input_tags.allow_nan
    return {
        "features": estimator.n_features_in_,
        "flags": ModelFlag.TAKES_MISSING if takes_missing else ModelFlag(0),
        "text": {
            "trainer": "scikit-learn",
            "features": list(map(str, getattr(estimator, "feature_names_in_", ()))),
            "classes": list(map(str, getattr(estimator, "classes_", ()))),
        },
    }


def _read_forest(estimator: Any) -> TreeWriter:
    """Read a tree or the mean of some."""
    members = getattr(estimator, "estimators_", [estimator])
    shape = members[0].tree_.value.shape
    is_classifier = hasattr(estimator, "classes_")
    if is_classifier and shape[1] > 1:
        raise UnreadableTrees("it predicts several classes a row; take an estimator of each")
    width = shape[2] if is_classifier else shape[1]
    writer = TreeWriter(
        outputs=width, leaf_width=width, divisor=float(len(members)), **_settings(estimator)
    )
    for member in members:
        values = member.tree_.value.reshape(-1, width)
        numbers = (
            values[:, 0] if width == 1 else [writer.add_values(one.tolist()) for one in values]
        )
        _add_tree(writer, member.tree_, np.asarray(numbers, np.float64))
    return writer


def _read_boosting(estimator: Any) -> TreeWriter:
    initial = estimator.init_
    if initial != "zero" and not type(initial).__name__.startswith("Dummy"):
        raise UnreadableTrees(f"it starts from {type(initial).__name__}, which is no constant")
    starts = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), np.float32))[0]
    link, factor = Link.IDENTITY, 1.0
    if hasattr(estimator, "classes_"):
        link = Link.SIGMOID if len(starts) == 1 else Link.SOFTMAX
        factor = 2.0 if estimator.loss == "exponential" else 1.0
    writer = TreeWriter(
        outputs=len(starts),
        link=link,
        factor=factor,
        starts=starts.tolist(),
        **_settings(estimator),
    )
    for stage in estimator.estimators_:
        for output, member in enumerate(stage):
            values = estimator.learning_rate * member.tree_.value[:, 0, 0]
            _add_tree(writer, member.tree_, values, output)
    return writer


def _read_isolation(estimator: Any) -> TreeWriter:
    from sklearn.ensemble._iforest import _average_path_length

    members = estimator.estimators_
    typical = _average_path_length([estimator._max_samples])[0]
    if typical == 0:
        raise UnreadableTrees("its trees were grown from one row each")
    writer = TreeWriter(
        link=Link.EXP2_NEGATIVE,
        factor=float(len(members) * typical),
        offset=float(estimator.offset_),
        **_settings(estimator),
    )
    for place, member in enumerate(members):
        lengths = estimator._decision_path_lengths[place]
        values = lengths + estimator._average_path_length_per_tree[place] - 1.0
        _add_tree(writer, member.tree_, values, columns=estimator.estimators_features_[place])
    return writer


def _add_tree(
    writer: TreeWriter,
    tree: Any,
    values: NDArray[np.float64],
    output: int = 0,
    columns: Sequence[int] | None = None,
) -> None:
    """Add a tree of scikit-learn; `values` are its nodes', of shape (nodes,)."""
    is_inner = tree.children_left >= 0
    ways = tree.missing_go_to_left
    slots = [
        writer.slot(
            int(feature if columns is None else columns[feature]),
            SlotFlag.FLOAT32 | (SlotFlag.MISSING_LEFT if left else SlotFlag(0)),
        )
        if inner
        else 0
        for feature, left, inner in zip(tree.feature, ways, is_inner, strict=True)
    ]
    numbers = np.where(is_inner, tree.threshold, values)
    writer.add_tree(tree.children_left, tree.children_right, np.asarray(slots), numbers, output)


def _read_histogram(estimator: Any) -> TreeWriter:
    starts = np.ravel(estimator._baseline_prediction)
    link = Link.IDENTITY
    if hasattr(estimator, "classes_"):
        link = Link.SIGMOID if len(starts) == 1 else Link.SOFTMAX
    elif estimator.loss in ("poisson", "gamma"):
        link = Link.EXP
    writer = TreeWriter(
        outputs=len(starts), link=link, starts=starts.tolist(), **_settings(estimator)
    )
    columns, categories = _columns(estimator)
    for stage in estimator._predictors:
        for output, predictor in enumerate(stage):
            _add_predictor(writer, predictor, output, columns, categories)
    return writer


def _columns(estimator: Any) -> tuple[list[int], dict[int, NDArray[np.int64]]]:
    """Return which column each of the trees' features is, and the categories of columns."""
    places = list(range(estimator.n_features_in_))
    if estimator._preprocessor is None:
        return places, {}
    chosen = np.flatnonzero(estimator.is_categorical_)
    encoder = estimator._preprocessor.named_transformers_["encoder"]
    categories = {}
    for column, values in zip(chosen.tolist(), encoder.categories_, strict=True):
        if values.dtype.kind not in "iuf":
            raise UnreadableTrees(
                f"column {column} has texts as categories; encode them as numbers"
            )
        known = values[~np.isnan(values.astype(np.float64))].astype(np.float64)
        if (known != np.floor(known)).any() or (known < 0).any() or (known >= _CODES).any():
            raise UnreadableTrees(f"categories of column {column} should be 0 to {_CODES - 1}")
        categories[column] = known.astype(np.int64)
    return [*chosen.tolist(), *(one for one in places if one not in categories)], categories


def _add_predictor(
    writer: TreeWriter,
    predictor: Any,
    output: int,
    columns: Sequence[int],
    categories: dict[int, NDArray[np.int64]],
) -> None:
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(np.bool_)
    slots = np.zeros(len(nodes), np.int64)
    numbers = np.where(is_leaf, nodes["value"], nodes["num_threshold"])
    for place in np.flatnonzero(~is_leaf):
        node = nodes[place]
        column = columns[node["feature_idx"]]
        missing = SlotFlag.MISSING_LEFT if node["missing_go_to_left"] else SlotFlag(0)
        if not node["is_categorical"]:
            slots[place] = writer.slot(column, missing)
            continue
        slots[place] = writer.slot(column, _CATEGORY)
        words = predictor.raw_left_cat_bitsets[node["bitset_idx"]]
        numbers[place] = _add_set(writer, words, categories[column], bool(missing))
    left, right = (
        np.where(is_leaf, -1, nodes[name].astype(np.int64)) for name in ("left", "right")
    )
    writer.add_tree(left, right, slots, numbers, output)


def _add_set(
    writer: TreeWriter, words: NDArray[np.uint32], known: NDArray[np.int64], missing_left: bool
) -> float:
    """Write the set of a node: known categories by their bits, all others as missing ones."""
    bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little")
    left = np.full(int(known.max(initial=-1)) + 1, missing_left)
    left[known] = bits[: len(known)].astype(np.bool_)
    flags = SetFlag(0) if missing_left else SetFlag.OUTSIDE_RIGHT | SetFlag.MISSING_RIGHT
    return writer.add_set(np.flatnonzero(left).tolist(), flags, len(left))


_READERS: dict[str, Callable[[Any], TreeWriter]] = {
    **{family + kind: _read_forest for family in (*_TREES, *_FORESTS) for kind in _KINDS},
    **{"GradientBoosting" + kind: _read_boosting for kind in _KINDS},
    **{"HistGradientBoosting" + kind: _read_histogram for kind in _KINDS},
    "IsolationForest": _read_isolation,
}
