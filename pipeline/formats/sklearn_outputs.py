"""Which outputs of a converted estimator are what its own methods give, and a model of these."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from gnomon.pipeline.formats.onnx_export import INPUT, TOLERANCE
from gnomon.runtime.errors import PackageError

__all__ = ["KeptOutput", "keep_outputs", "matching_outputs"]

#: Method → the name of an output with its values; others keep the converter's.
_NAMES = {
    "predict_proba": "probabilities",
    "decision_function": "decision_values",
    "score_samples": "scores",
}


@dataclass(frozen=True, slots=True)
class KeptOutput:
    """An output of the model: what the converter calls it, what it is to be called, its values.

    `column` is the one that is kept, if the converter gives a value and its negative.
    """

    source: str
    name: str
    method: str
    values: NDArray[Any]
    column: int | None = None


def matching_outputs(estimator: Any, content: bytes, rows: NDArray[np.float32]) -> list[KeptOutput]:
    """Return the outputs that are what a method of the estimator gives for all rows.

    What `predict` and `predict_proba` give must be among them, if a converter makes an output for
    it: another answer than the estimator's is an error. Other outputs that match nothing are left
    out. `rows` has the shape (rows, inputs).

    Raises:
        PackageError: the model cannot be run, answers differently, or no output matches.
    """
    kind = type(estimator).__name__
    given = _run(kind, content, rows)
    found: list[KeptOutput] = []
    differences: list[str] = []
    for method, expected in _answers(estimator, rows):
        left = [name for name in given if name not in [one.source for one in found]]
        match = next((one for name in left if (one := _match(method, name, expected, given))), None)
        if match is not None:
            found.append(match)
        elif method in ("predict", "predict_proba"):
            differences.append(_difference(method, expected, [given[name] for name in left]))
    if differences or not found:
        reason = "; ".join(differences) or "none of its outputs is what a method of it gives"
        raise PackageError(f"the ONNX file differs from {kind}: {reason}")
    return sorted(found, key=lambda one: list(given).index(one.source))


def keep_outputs(content: bytes, kept: Sequence[KeptOutput]) -> bytes:
    """Return the model with these outputs alone, under their names; as it is if they are its own.

    The shapes that it declares become those of the values: converters declare other ones at times.
    """
    model = onnx.load_from_string(content)
    outputs = list(model.graph.output)
    declared = {one.name: _declared(one) for one in outputs}
    wanted = [(one.name, one.values.shape[1:]) for one in kept]
    if wanted == list(declared.items()):
        return content
    types = {one.name: one.type.tensor_type.elem_type for one in outputs}
    del model.graph.output[:]
    for one in kept:
        if one.column is not None:
            index = f"{one.name}_column"
            model.graph.initializer.append(
                helper.make_tensor(index, onnx.TensorProto.INT64, [1], [one.column])
            )
            model.graph.node.append(
                helper.make_node("Gather", [one.source, index], [one.name], axis=1)
            )
        elif one.name != one.source:
            model.graph.node.append(helper.make_node("Identity", [one.source], [one.name]))
        shape = [None, *one.values.shape[1:]]
        model.graph.output.append(helper.make_tensor_value_info(one.name, types[one.source], shape))
    return bytes(model.SerializeToString(deterministic=True))


def _declared(output: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(one.dim_value for one in output.type.tensor_type.shape.dim)[1:]


def _run(kind: str, content: bytes, rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        answers = session.run(None, {INPUT: rows})
    except Exception as error:
        # The classes of ONNX Runtime's errors have no common base but Exception.
        raise PackageError(f"the ONNX file of {kind} cannot be run: {error}") from error
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, map(np.asarray, answers), strict=True))


def _answers(estimator: Any, rows: NDArray[np.float32]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield what each method of the estimator gives for the rows."""
    exact = rows.astype(np.float64)
    for method in ("predict", *_NAMES, "transform"):
        if hasattr(estimator, method):
            answer = getattr(estimator, method)(exact)
            if isinstance(answer, np.ndarray):
                yield method, answer


def _match(
    method: str, name: str, expected: NDArray[Any], given: Mapping[str, NDArray[Any]]
) -> KeptOutput | None:
    """Return an output if it is what a method gives, or has that in one of two columns."""
    values, called = given[name], _NAMES.get(method, name)
    if _has_size(expected, values):
        is_same = _largest(expected.reshape(values.shape), values) <= TOLERANCE
        return KeptOutput(name, called, method, values) if is_same else None
    if expected.ndim == 1 and values.shape == (len(expected), 2):
        for column in (1, 0):
            if _largest(expected, values[:, column]) <= TOLERANCE:
                return KeptOutput(name, called, method, values[:, [column]], column)
    return None


def _has_size(expected: NDArray[Any], given: NDArray[Any]) -> bool:
    return expected.size == given.size and len(expected) == len(given)


def _largest(expected: NDArray[Any], given: NDArray[Any]) -> float:
    """Return the largest difference, relative to the value or 1; infinite for other classes."""
    if expected.dtype.kind not in "fiub" or given.dtype.kind not in "fiub":
        return 0.0 if (expected.astype(str) == given.astype(str)).all() else float("inf")
    one, other = expected.astype(np.float64), given.astype(np.float64)
    with np.errstate(invalid="ignore"):
        found = np.abs(one - other) / np.maximum(np.abs(one), 1.0)
    return float(np.where(one == other, 0.0, np.nan_to_num(found, nan=np.inf)).max(initial=0.0))


def _difference(method: str, expected: NDArray[Any], given: Sequence[NDArray[Any]]) -> str:
    """Say by how much the output that is nearest to a method's answers differs."""
    near = [
        _largest(expected.reshape(other.shape), other)
        for other in given
        if _has_size(expected, other)
    ]
    if not near:
        shapes = ", ".join(str(one.shape) for one in given) or "none"
        return f"{method} gives the shape {expected.shape}, the file has {shapes}"
    return f"{method} by {min(near):.3g} of the value; at most {TOLERANCE:g} is allowed"
