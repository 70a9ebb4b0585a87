"""Converts a fitted scikit-learn estimator or pipeline over numbers to an ONNX model."""

import warnings
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import is_classifier

from gnomon.pipeline.formats.importing import Source
from gnomon.pipeline.formats.mlflow import mlflow_file
from gnomon.pipeline.formats.onnx_export import INPUT, OPSET, TOLERANCE, check_parity, export_onnx
from gnomon.runtime.errors import ConfigurationError, PackageError
from gnomon.runtime.raw_models.probe import answer

__all__ = ["from_estimator", "unpickle"]

_PROBABILITIES = "probabilities"
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


def from_estimator(estimator: Any, name: str = "estimator") -> Source:
    """Convert an estimator whose inputs are all numbers, and compare the result with it.

    Columns are called as in the data frame that it was fitted on. A classifier gives
    `probabilities`, in the order of its classes, and `label` if these are whole numbers.

    Raises:
        PackageError: skl2onnx cannot convert it, or the ONNX model answers differently.
    """
    kind = type(estimator).__name__
    features = getattr(estimator, "n_features_in_", None)
    if features is None:
        raise PackageError(f"{kind} is not fitted, or takes no table; fit it before it is imported")
    columns = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
    rows = np.random.default_rng(0).standard_normal((_CHECKED_ROWS, features)).astype(np.float32)
    with warnings.catch_warnings():
        # Rows without column names are what the ONNX model gets as well.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        if not is_classifier(estimator):
            content = export_onnx(estimator, features, name="gnomon")
            check_parity(estimator, content, rows)
            return Source(name, "onnx", content, columns)
        content = _convert_classifier(estimator, features)
        expected = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
    _check(kind, content, rows, expected)
    classes = ", ".join(map(str, estimator.classes_))
    return Source(name, "onnx", content, columns, f"The probabilities are those of: {classes}.")


def _convert_classifier(estimator: Any, features: int) -> bytes:
    try:
        model = convert_sklearn(
            estimator,
            name="gnomon",
            initial_types=[(INPUT, FloatTensorType([None, features]))],
            options={"zipmap": False},
            target_opset=OPSET,
        )
    except (RuntimeError, NotImplementedError, ValueError, TypeError, NameError) as error:
        kind = type(estimator).__name__
        raise PackageError(f"{kind} cannot be converted to ONNX: {error}") from error
    return bytes(model.SerializeToString(deterministic=True))


def _check(
    kind: str, content: bytes, rows: NDArray[np.float32], expected: NDArray[np.float64]
) -> None:
    (given,) = answer("onnx", content, {INPUT: rows}, [_PROBABILITIES])
    if given.shape != expected.shape:
        raise PackageError(
            f"the ONNX file's probabilities have shape {given.shape}, {kind}'s {expected.shape}"
        )
    difference = float(np.abs(given - expected).max())
    if not difference <= TOLERANCE:
        raise PackageError(
            f"the ONNX file's probabilities differ from {kind}'s by up to {difference:.3g}; at "
            f"most {TOLERANCE:g} is allowed"
        )
