"""scikit-learn estimators as ONNX files with one float32 input `[-1, F]`.

Trees are compared with float32 thresholds there and with float64 ones in scikit-learn. Rounding a
threshold to the nearest float32 sends a value between the two down the other branch: on
the flights data 45 of 336,776 rows, by up to 1.4 minutes. So thresholds are first rounded *down* to
float32, which changes nothing for a float32 input (x ≤ t exactly if x ≤ ⌊t⌋), and converts without
loss. What remains is the order and precision of additions: `TOLERANCE`, which `check_parity`
enforces on every row.
"""

import copy
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from gnomon.runtime.errors import PackageError

__all__ = ["INPUT", "OUTPUT", "TOLERANCE", "check_parity", "convert", "export_onnx", "run_onnx"]

INPUT = "input"
#: What skl2onnx calls the first output of a regressor.
OUTPUT = "variable"
#: Largest relative difference (above 1: of the value; below: absolute) that float32 sums may make.
TOLERANCE = 1e-5

OPSET = 17
#: Some converters know no later version of the operators of trees.
_OLD_OPSET = {"": 17, "ai.onnx.ml": 3}


def export_onnx(estimator: Any, features: int, name: str = "gnomon") -> bytes:
    """Return the ONNX bytes of a fitted regressor that takes `features` numbers a row.

    Missing values are NaN if the estimator takes them. The same estimator always gives the same
    bytes. The output tensor is `OUTPUT`, `[-1, 1]`.

    Raises:
        PackageError: if skl2onnx cannot convert the estimator, with its reason.
    """
    return convert(_with_float32_thresholds(estimator), features, name=name)


def convert(
    estimator: Any, features: int, options: dict[str, Any] | None = None, *, name: str = "gnomon"
) -> bytes:
    """Return the ONNX bytes of a fitted estimator as skl2onnx makes them.

    Args:
        estimator: of scikit-learn.
        features: its numbers in a row.
        options: of skl2onnx.
        name: of the graph.

    Raises:
        PackageError: skl2onnx cannot convert it, with its reason.
        NameError: an option is not known for this estimator.
    """
    for opset in (OPSET, _OLD_OPSET):
        try:
            model = convert_sklearn(
                estimator,
                name=name,
                initial_types=[(INPUT, FloatTensorType([None, features]))],
                target_opset=opset,
                options=options,
            )
        except NameError:
            raise
        except Exception as error:
            # Converters fail with whatever their code runs into.
            if opset is not _OLD_OPSET and "ai.onnx.ml" in str(error):
                continue
            kind = type(estimator).__name__
            raise PackageError(f"{kind} cannot be converted to ONNX: {error}") from error
        return bytes(model.SerializeToString(deterministic=True))
    raise AssertionError("the loop returns or raises")


def run_onnx(model: bytes, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the first output for rows `(N, F)`, flat.

    Raises:
        PackageError: the output is not one number a row.
    """
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    output: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: rows})[0]
    if output.shape not in ((len(rows),), (len(rows), 1)):
        raise PackageError(
            f"the ONNX file's output has shape {output.shape}, expected ({len(rows)}, 1): one "
            "number a row"
        )
    return output.reshape(-1)


def check_parity(
    estimator: Any, model: bytes, rows: NDArray[np.float32], tolerance: float = TOLERANCE
) -> float:
    """Return the largest difference between estimator and ONNX file over all rows.

    Differences are relative to the prediction, or to 1 if that is smaller.

    Args:
        estimator: of scikit-learn.
        model: bytes of the ONNX file.
        rows: float32 of shape (rows, inputs).
        tolerance: largest relative difference that is allowed.

    Raises:
        PackageError: if one is above the tolerance; the message names the row.
    """
    expected = np.asarray(estimator.predict(rows), dtype=np.float64)
    got = run_onnx(model, rows).astype(np.float64)
    difference = np.abs(got - expected) / np.maximum(np.abs(expected), 1.0)
    worst = int(np.argmax(difference))
    if not difference[worst] <= tolerance:
        raise PackageError(
            f"the ONNX file differs from {type(estimator).__name__} by {difference[worst]:.3g} of "
            f"the value in row {worst}: expected {expected[worst]!r}, got {got[worst]!r}; "
            f"at most {tolerance:g} is allowed"
        )
    return float(difference[worst])


def _with_float32_thresholds(estimator: Any) -> Any:
    """Return a copy of a histogram gradient boosting whose thresholds are float32; others as is."""
    if not hasattr(estimator, "_predictors"):
        return estimator
    rounded = copy.deepcopy(estimator)
    for stage in rounded._predictors:
        for tree in stage:
            tree.nodes["num_threshold"] = _round_down(tree.nodes["num_threshold"])
    return rounded


def _round_down(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest float32 that is not above each value."""
    nearest = values.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > values, below, nearest).astype(np.float64)
