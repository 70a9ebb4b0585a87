"""Models whose tensors are no rows of numbers: each input is one field, served as it is.

The axis of rows is looked for: if the first axis of every input and output has any length, it is
the rows of a call, provided that made-up rows are answered so. If it is 1 everywhere, or made-up
rows cannot be answered, the rows of a call are run one by one. Otherwise the tensors have no axis
of rows, and a call adds one.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind
from gnomon.core.packing import Packing
from gnomon.runtime.engines.onnx import PythonOnnxEngine, SignatureTensor
from gnomon.runtime.errors import EngineError, PackageError
from gnomon.runtime.packages.column_names import field_names
from gnomon.runtime.packages.manifest import Signature, TensorSpec
from gnomon.runtime.packages.profile import Profile
from gnomon.runtime.packages.served_tensors import FirstAxis, ServedTensors, TensorField
from gnomon.runtime.raw_models.probe import draft_manifest
from gnomon.runtime.raw_models.raw_model_parts import RawModel, no_reference
from gnomon.runtime.raw_tensors import ELEMENT_TYPES, TEXT

__all__ = ["derive_tensors"]

#: ONNX Runtime's types of tensors → datatypes of the Open Inference Protocol.
_DATATYPES = {
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(float16)": "FP16",
    "tensor(bool)": "BOOL",
    "tensor(string)": TEXT,
    **{f"tensor({name.lower()})": name for name in ELEMENT_TYPES if "INT" in name},
}
_KNOWN = ", ".join(_DATATYPES)

#: Elements of made-up tensors together: of those that are tried, and of those that a package keeps.
#: What a file says of its shapes must not cost more than this.
_TRIED_ELEMENTS, _KEPT_ELEMENTS = 1 << 22, 4096
#: What is tried for a length that may be any.
_LENGTH = 2
_ROWS = 3

Arrays = dict[str, NDArray[Any]]


def derive_tensors(content: bytes, name: str) -> RawModel:
    """Return what an ONNX file by itself tells, with each of its inputs as one field.

    Args:
        content: bytes of the model file.
        name: what errors call it.

    Raises:
        PackageError: the file is no model, takes no input, or an input or every output is no
            tensor of numbers, bools or texts.
    """
    engine = _load(content, name)
    try:
        inputs, outputs = engine.signature()
        _check_inputs(name, inputs)
        given = [one for one in outputs if one.type in _DATATYPES]
        if not given:
            kinds = ", ".join(f"{one.name!r} is {one.type}" for one in outputs)
            raise PackageError(f"{name}: the model gives no tensor; {kinds}; known are {_KNOWN}")
        axis = _declared_axis(inputs, given)
        if axis != "none":
            axis = _tried_axis(engine, inputs, [one.name for one in given], axis)
        golden = tuple(_answered_rows(engine, inputs, [one.name for one in given], axis))
    finally:
        engine.close()
    try:
        return _build(content, axis, inputs, outputs, golden)
    except ValueError as error:
        # A rank or a length that no package has.
        raise PackageError(f"{name}: {error}") from error


def _load(content: bytes, name: str) -> PythonOnnxEngine:
    try:
        return PythonOnnxEngine(content, draft_manifest("onnx", (), name))
    except EngineError as error:
        raise PackageError(str(error)) from error


def _check_inputs(name: str, inputs: Sequence[SignatureTensor]) -> None:
    if not inputs:
        raise PackageError(f"{name}: the model takes no input, so a call would have no rows")
    for one in inputs:
        if one.type not in _DATATYPES:
            raise PackageError(
                f"{name}: the input {one.name!r} is {one.type}; right would be one of {_KNOWN}"
            )


def _declared_axis(
    inputs: Sequence[SignatureTensor], outputs: Sequence[SignatureTensor]
) -> FirstAxis:
    firsts = [one.shape[0] if one.shape else None for one in (*inputs, *outputs)]
    if all(first == 1 for first in firsts):
        return "one_row"
    names = {one.lengths[0] for one in inputs if one.lengths}
    return "rows" if all(first == -1 for first in firsts) and len(names) == 1 else "none"


def _tried_axis(
    engine: PythonOnnxEngine,
    inputs: Sequence[SignatureTensor],
    outputs: Sequence[str],
    declared: FirstAxis,
) -> FirstAxis:
    """Return what the first axis proves to be: rows only if answers have as many as inputs."""
    seen: set[bool] = set()
    for made in _made_up(inputs):
        with contextlib.suppress(EngineError):
            for rows in (1, _LENGTH, _ROWS) if declared == "rows" else (1,):
                tensors = {name: _repeated(array, rows) for name, array in made.items()}
                answers = engine.run(tensors, outputs)
                seen.add(all(answers[name].shape[:1] == (rows,) for name in outputs))
    if False in seen:
        return "none"
    return declared if seen else "one_row"


def _answered_rows(
    engine: PythonOnnxEngine,
    inputs: Sequence[SignatureTensor],
    outputs: Sequence[str],
    axis: FirstAxis,
) -> Iterator[dict[str, Any]]:
    """Yield made-up rows, by field, that the model answers with finite numbers."""
    names = field_names([one.name for one in inputs])
    for made in _made_up(inputs):
        sizes = [array.size for array in made.values()]
        # Nested lists do not tell all axes of a tensor without elements.
        if sum(sizes) > _KEPT_ELEMENTS or not all(sizes):
            return
        tensors = made if axis == "none" else {name: one[:1] for name, one in made.items()}
        with contextlib.suppress(EngineError):
            answers = engine.run(tensors, outputs)
            if not all(_is_finite(array) for array in answers.values()):
                continue
            rows = [one if axis == "none" else one[0] for one in tensors.values()]
            yield {name: _plain(row) for name, row in zip(names, rows, strict=True)}


def _made_up(inputs: Sequence[SignatureTensor]) -> Iterator[Arrays]:
    """Yield tensors of zeros and of ones, unless they are large; texts are empty or "a"."""
    if sum(math.prod(_shape(one)) for one in inputs) > _TRIED_ELEMENTS:
        return
    for number, text in ((0, ""), (1, "a")):
        yield {one.name: np.full(_shape(one), _value(one, number, text)) for one in inputs}


def _value(one: SignatureTensor, number: int, text: str) -> NDArray[Any]:
    datatype = _DATATYPES[one.type]
    if datatype == TEXT:
        return np.array(text, object)
    return np.array(number, ELEMENT_TYPES[datatype])


def _shape(one: SignatureTensor) -> tuple[int, ...]:
    return tuple(_LENGTH if length == -1 else length for length in one.shape)


def _repeated(array: NDArray[Any], rows: int) -> NDArray[Any]:
    return np.repeat(array[:1], rows, axis=0)


def _is_finite(array: NDArray[Any]) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _plain(array: Any) -> Any:
    return array.tolist() if isinstance(array, np.ndarray | np.generic) else array


def _build(
    content: bytes,
    axis: FirstAxis,
    inputs: Sequence[SignatureTensor],
    outputs: Sequence[SignatureTensor],
    golden: tuple[dict[str, Any], ...],
) -> RawModel:
    given = [one for one in outputs if one.type in _DATATYPES]
    taken = _served(inputs, axis)
    answered = _served(given, axis)
    sides = tuple(map(_fields, taken)), tuple(map(_fields, answered))
    return RawModel(
        "onnx",
        content,
        Packing(Contract(sides[0]), ()),
        tuple(one.name for one in given),
        Profile(sides[0], (), sides[1], no_reference(sides[0]), no_reference(sides[1])),
        golden,
        tuple(one.name for one in outputs if one.type not in _DATATYPES),
        Signature(inputs=tuple(map(_spec, taken)), outputs=tuple(map(_spec, answered))),
        ServedTensors(served_tensors=taken, first_axis=axis),
    )


def _served(tensors: Sequence[SignatureTensor], axis: FirstAxis) -> tuple[TensorField, ...]:
    names = field_names([one.name for one in tensors])
    return tuple(
        TensorField(
            name=name,
            tensor=one.name,
            datatype=_DATATYPES[one.type],
            shape=one.shape if axis == "none" else one.shape[1:],
        )
        for name, one in zip(names, tensors, strict=True)
    )


def _fields(one: TensorField) -> Field:
    return Field(
        name=one.name,
        kind=Kind.FLOAT64,
        nullable=True,
        description=f"mean of the {one.datatype} tensor {one.tensor!r}"[:200],
    )


def _spec(one: TensorField) -> TensorSpec:
    return TensorSpec(name=one.name, datatype=one.datatype, shape=(-1, *one.shape))
