"""Converts a fitted scikit-learn estimator or pipeline over numbers to an ONNX model."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
from sklearn.base import is_classifier

from gnomon.pipeline.formats.importing import Source
from gnomon.pipeline.formats.mlflow import mlflow_file
from gnomon.pipeline.formats.onnx_export import convert, export_onnx
from gnomon.pipeline.formats.sklearn_outputs import KeptOutput, keep_outputs, matching_outputs
from gnomon.pipeline.formats.sklearn_trees import read_estimator
from gnomon.pipeline.proofs.tree_proof import compare_estimator
from gnomon.runtime.errors import ConfigurationError, PackageError

__all__ = ["from_estimator", "from_trees", "read_skops", "unpickle"]

_CHECKED_ROWS = 200


def unpickle(path: Path) -> Any:
    """Load an estimator that joblib or pickle wrote. This executes the code in the file.

    `path` is the file, or the folder of an MLflow model with the flavour `sklearn`.

    Raises:
        ConfigurationError: it cannot be loaded.
    """
    if path.is_dir():
        path = mlflow_file(path, "sklearn", "pickled_model", "model.pkl")
    try:
        return joblib.load(path)
    except Exception as error:
        raise ConfigurationError(f"{path} cannot be loaded: {error}") from error


def read_skops(path: Path) -> Any:
    """Load an estimator of a file of skops, which names types and holds no code.

    Raises:
        ConfigurationError: it cannot be loaded, or names types that are not trusted.
    """
    from gnomon.runtime.engines.skops_policy import reader, scan

    try:
        content = path.read_bytes()
        scan(content)
        return reader()(content)
    except Exception as error:
        raise ConfigurationError(f"{path} cannot be loaded: {error}") from error


def from_trees(estimator: Any, name: str = "estimator", *, proof: bool = True) -> Source:
    """Read the trees of an estimator, and compare them with it unless `proof` is false.

    Raises:
        UnreadableTrees: it has no trees, or what no file of trees holds.
        PackageError: the trees answer otherwise than the estimator.
    """
    content = read_estimator(estimator)
    columns = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
    classes = list(map(str, getattr(estimator, "classes_", ())))
    note = f"The classes are {', '.join(classes)}, in this order." if classes else ""
    found = compare_estimator(estimator, content) if proof else None
    return Source(name, "trees", content, columns, note, found)


def from_estimator(estimator: Any, name: str = "estimator") -> Source:
    """Convert an estimator whose inputs are all numbers, and compare the result with it.

    Columns are called as in the data frame that it was fitted on. A classifier gives `label` if its
    classes are whole numbers, and `probabilities` or, if it has none, `decision_values`, in the
    order of its classes. Of other estimators the outputs are kept that are what one of their
    methods gives.

    Raises:
        PackageError: skl2onnx cannot convert it, or the ONNX model answers differently.
    """
    kind = type(estimator).__name__
    features = getattr(estimator, "n_features_in_", None)
    if features is None:
        raise PackageError(f"{kind} is not fitted, or takes no table; fit it before it is imported")
    if isinstance(getattr(estimator, "classes_", None), list):
        raise PackageError(f"{kind} predicts several classes a row; import an estimator of each")
    columns = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
    rows = np.random.default_rng(0).standard_normal((_CHECKED_ROWS, features)).astype(np.float32)
    with warnings.catch_warnings():
        # Rows without column names are what the ONNX model gets as well.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        is_classified = is_classifier(estimator)
        content = (_convert_classifier if is_classified else export_onnx)(estimator, features)
        kept = matching_outputs(estimator, content, rows)
    _refuse_texts(kind, kept)
    note = _note(estimator, kept) if is_classified else ""
    return Source(name, "onnx", keep_outputs(content, kept), columns, note)


def _refuse_texts(kind: str, kept: Sequence[KeptOutput]) -> None:
    if all(one.values.dtype.kind not in "fiub" for one in kept):
        raise PackageError(
            f"{kind} gives texts and no numbers that are its own; fit it on classes that are whole "
            "numbers"
        )


def _note(estimator: Any, kept: Sequence[KeptOutput]) -> str:
    classes = list(map(str, estimator.classes_))
    notes = []
    for one in kept:
        shown = one.name.replace("_", " ")
        if one.method == "decision_function" and one.values[0].size == 1:
            notes.append(f"The {shown} are positive for {classes[-1]}, negative for {classes[0]}.")
        elif one.method in ("predict_proba", "decision_function"):
            notes.append(f"The {shown} are those of: {', '.join(classes)}.")
    return " ".join(notes)


def _convert_classifier(estimator: Any, features: int) -> bytes:
    try:
        return convert(estimator, features, {"zipmap": False})
    except NameError:
        # Not every classifier has the option.
        return convert(estimator, features)
