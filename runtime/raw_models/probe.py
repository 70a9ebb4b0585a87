"""A model file by itself: which tensors it takes and gives, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnomon.core.fields import ContractError, Kind
from gnomon.core.trees import TreeModel
from gnomon.runtime.engines import load_engine
from gnomon.runtime.engines.onnx import OnnxEngine, type_name
from gnomon.runtime.engines.row_axis import check_axis, check_rows
from gnomon.runtime.engines.tflite_file import check_self_contained
from gnomon.runtime.engines.tree_session import TreeSession
from gnomon.runtime.errors import PackageError
from gnomon.runtime.packages.manifest import Manifest, Reproducibility, Signature

__all__ = [
    "ModelTensors",
    "TensorInfo",
    "answer",
    "datatype",
    "derive_kind",
    "draft_manifest",
    "is_packed",
    "read_tensors",
]

_BATCH_ROWS = 4096

#: What is read and packed.
_KNOWN = tuple(map(np.dtype, (np.float32, np.float64, np.int32, np.int64, np.bool_)))

#: NumPy's dtypes as the Open Inference Protocol and the packing call them.
_DATATYPES = {"float32": "FP32", "float64": "FP64", "int32": "INT32", "int64": "INT64"}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor's name, its type as the engine calls it, its dtype and shape; −1 is any size.

    `dtype` is None for what Gnomon neither packs nor reads, such as texts and maps.
    """

    name: str
    type: str
    dtype: np.dtype[Any] | None
    shape: tuple[int, ...]

    @property
    def width(self) -> int:
        """Return how many numbers it has for each row; −1 if that is not fixed."""
        sizes = self.shape[1:]
        return -1 if -1 in sizes else int(np.prod(sizes, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class ModelTensors:
    """What a model takes and gives, in its own order.

    `columns` names those of its only input, if the file does; `takes_missing` says whether the
    model was made for rows with missing values, as NaN.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    columns: tuple[str, ...] = ()
    takes_missing: bool = False


def read_tensors(format: str, content: bytes, reference: str = "the model") -> ModelTensors:
    """Return the tensors of a model file; `reference` is what errors call it.

    Raises:
        PackageError: the format is unknown, or the file is not of it.
    """
    readers = {"onnx": _read_onnx, "tflite": _read_tflite, "trees": _read_trees}
    if format not in readers:
        raise PackageError(f"format {format!r} is unknown; known are {', '.join(readers)}")
    try:
        return readers[format](content, reference)
    except Exception as error:
        reason = str(error).removeprefix(f"{reference}: ")
        raise PackageError(f"{reference} is no {format} model: {reason}") from error


def is_packed(tensor: TensorInfo) -> bool:
    """Whether fields can be packed into a tensor."""
    return str(tensor.dtype) in _DATATYPES


def datatype(tensor: TensorInfo) -> str:
    """Return what a packing calls the tensor's type.

    Raises:
        ContractError: fields cannot be packed into it.
    """
    name = _DATATYPES.get(str(tensor.dtype))
    if name is None:
        raise ContractError(
            f"the model's tensor {tensor.name!r} is {tensor.type}; fields are packed into "
            f"{', '.join(_DATATYPES.values())}, so export the model with one of these"
        )
    return name


def answer(
    format: str,
    content: bytes,
    tensors: Mapping[str, NDArray[Any]],
    outputs: Sequence[str],
    *,
    is_single_row: bool = False,
    reference: str = "the model",
) -> list[NDArray[Any]]:
    """Return the named output tensors for all rows, by the engine that runs the model in service.

    `is_single_row` is for models whose batch is fixed at one; `reference` is what errors call the
    model. Rows whose answers depend on each other are run one by one.

    Args:
        format: "onnx", "tflite" or "trees".
        content: bytes of the model file.
        tensors: name → array of shape `(rows, …)`.
        outputs: names of the output tensors that are wanted.
        is_single_row: whether the batch of the model is fixed at one row.
        reference: what errors call the model.

    Raises:
        EngineError: the engine cannot load or run the model, or an output's first axis is not the
            rows.
    """
    engine = load_engine(format, content, draft_manifest(format, outputs, reference))
    rows = len(next(iter(tensors.values())))
    parts = []
    try:
        is_independent = check_rows(reference, engine, tensors, outputs)
        step = _BATCH_ROWS if is_independent and not is_single_row else 1
        for start in range(0, rows, step):
            part = {name: array[start : start + step] for name, array in tensors.items()}
            parts.append(engine.run(part))
            check_axis(reference, parts[-1], outputs, min(step, rows - start))
    finally:
        engine.close()
    return [np.concatenate([part[name] for part in parts]) for name in outputs]


def derive_kind(values: NDArray[Any]) -> dict[str, Any]:
    """Return the kind and shape of an output that the model's own answers have."""
    shape = tuple(values.shape[1:])
    if int(np.prod(shape, dtype=np.int64)) != 1:
        return {"kind": Kind.VECTOR if len(shape) == 1 else Kind.TENSOR, "shape": shape}
    return {"kind": Kind(values.dtype.name)}


class _Draft(Manifest, frozen=True, kw_only=True):
    """A manifest of a file that is no package: errors call it by the file's name."""

    file: str

    @property
    def reference(self) -> str:
        """Return the file's name."""
        return self.file


def draft_manifest(format: str, outputs: Sequence[str], reference: str) -> Manifest:
    """Return as much of a manifest as an engine reads."""
    return _Draft(
        file=reference,
        name="draft",
        version="0",
        format=format,
        model_file="",
        signature=Signature(inputs=(), outputs=()),
        packing={},
        output_tensors=tuple(outputs),
        files=(),
        reproducibility=Reproducibility(
            code_version="", code_clean=False, dataset_uri="", dataset_fingerprint="", split={}
        ),
    )


def _read_onnx(content: bytes, reference: str) -> ModelTensors:
    engine = load_engine("onnx", content, draft_manifest("onnx", (), reference))
    try:
        inputs, outputs = cast(OnnxEngine, engine).tensors()
    finally:
        engine.close()

    def describe(one: tuple[str, np.dtype[Any] | None, tuple[int, ...]]) -> TensorInfo:
        name, dtype, shape = one
        known = dtype if dtype in _KNOWN else None
        return TensorInfo(name, type_name(dtype), known, shape)

    return ModelTensors(tuple(map(describe, inputs)), tuple(map(describe, outputs)))


def _read_tflite(content: bytes, reference: str) -> ModelTensors:
    from ai_edge_litert.interpreter import Interpreter

    check_self_contained(content, reference)
    interpreter = Interpreter(model_content=content, num_threads=1)

    def describe(one: Mapping[str, Any]) -> TensorInfo:
        dtype = np.dtype(one["dtype"])
        shape = tuple(int(size) for size in one["shape_signature"])
        return TensorInfo(one["name"], str(dtype), dtype if dtype in _KNOWN else None, shape)

    return ModelTensors(
        tuple(map(describe, interpreter.get_input_details())),
        tuple(map(describe, interpreter.get_output_details())),
    )


def _read_trees(content: bytes, reference: str) -> ModelTensors:
    model = TreeModel(content)
    session = TreeSession(model, ())

    def describe(one: tuple[str, np.dtype[Any] | None, tuple[int, ...]]) -> TensorInfo:
        name, dtype, shape = one
        return TensorInfo(name, str(dtype), dtype, shape)

    names = tuple(msgspec.json.decode(model.text, type=_TreeText).features)
    is_named = len(set(names)) == len(names) == model.features
    return ModelTensors(
        tuple(map(describe, session.inputs)),
        tuple(map(describe, session.gives)),
        names if is_named else (),
        model.takes_missing,
    )


class _TreeText(msgspec.Struct):
    """What an importer says of a model."""

    features: list[str] = []
