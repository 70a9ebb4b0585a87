"""Makes a package of what somebody else left: a bare model file, an MLflow folder, a pipeline.

Such a package has no training data behind it. Its contract is what the tensors' shapes and types
say and no more: no ranges, no categories, no reference to judge drift by. It runs, it is signed and
versioned, and it repeats its golden samples, which are recorded on made-up rows. A recipe
(`gnomon.pipeline.recipe_build`) makes a better one wherever there are data.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.fields import ContractError, Field, Kind
from gnomon.core.packing import Feature, Packing, Tensor
from gnomon.core.reference import Reference
from gnomon.pipeline.build import About, ModelFile, build_package
from gnomon.pipeline.probe import TensorInfo, answer, datatype, derive_kind, read_tensors
from gnomon.runtime.chunks import sha256
from gnomon.runtime.errors import ConfigurationError, EngineError, PackageError
from gnomon.runtime.manifest import Reproducibility
from gnomon.runtime.outputs import OutputReader
from gnomon.runtime.package import Package
from gnomon.runtime.profile import Profile
from gnomon.runtime.signing import Signer

__all__ = ["Source", "import_model", "read_source"]

NOTE = (
    "Imported without data: the contract comes from the shapes and types of the model's tensors "
    "alone, the golden samples were recorded on made-up rows, and there is no reference to judge "
    "drift by."
)

#: A tensor of more columns than this becomes one vector, unless its columns are named.
_SCALARS = 64
_GOLDEN_ROWS = 5
_MLFLOW_FILE = "MLmodel"
_KINDS = {
    "FP32": Kind.FLOAT32,
    "FP64": Kind.FLOAT64,
    "INT32": Kind.INT32,
    "INT64": Kind.INT64,
}


@dataclass(frozen=True, slots=True)
class Source:
    """A model as it was found; `columns` names its inputs and `note` tells more, where known."""

    name: str
    format: str
    content: bytes
    columns: tuple[str, ...] = ()
    note: str = ""


def read_source(path: Path) -> Source:
    """Read a `.onnx` or `.tflite` file, or an MLflow model folder with an ONNX model in it.

    Nothing of it is run.

    Raises:
        ConfigurationError: there is nothing of the kind.
    """
    if path.is_dir():
        return _read_mlflow(path)
    format = path.suffix.lstrip(".")
    if format not in ("onnx", "tflite"):
        raise ConfigurationError(
            f"{path} should end in .onnx or .tflite, or be the folder of an MLflow model"
        )
    try:
        return Source(path.name, format, path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def import_model(
    source: Source,
    folder: Path,
    name: str,
    version: str,
    *,
    signer: Signer | None,
    columns: Sequence[str] = (),
    about: About | None = None,
) -> Package:
    """Write a package of a model without its data as `folder` and return it, verified.

    `columns` names the inputs, one for each column of the model's tensors, in order; without them
    they are called by their tensor and number. The same source gives the same digest.

    Raises:
        PackageError: the file is no model, or its tensors are not rows of numbers.
        ConfigurationError: there are not as many names as columns.
        EngineError: the model fails on every row that was tried.
        Conflict: the folder exists and holds something else.
    """
    tensors = read_tensors(source.format, source.content)
    try:
        packing = _packing(tensors.inputs, tuple(columns) or source.columns)
    except ContractError as error:
        raise PackageError(f"{source.name}: {error}") from error
    inputs = packing.contract.fields
    given = tuple(one for one in tensors.outputs if one.dtype is not None)
    if not given:
        raise PackageError(f"{source.name}: the model gives no tensor of numbers")
    model = ModelFile(
        format=source.format,
        content=source.content,
        packing=packing,
        output_tensors=tuple(one.name for one in given),
    )
    rows, answers = _try_rows(model, tensors.inputs)
    outputs = tuple(
        Field(name=_plain(tensor.name), **derive_kind(values))
        for tensor, values in zip(given, answers, strict=True)
    )
    about = about or About()
    return build_package(
        folder,
        name,
        version,
        model=model,
        profile=Profile(inputs, (), outputs, _no_reference(inputs), _no_reference(outputs)),
        golden_rows=_good_rows(rows, answers, outputs, source.name),
        reproducibility=Reproducibility(
            code_version="unknown",
            code_clean=False,
            dataset_uri="",
            dataset_fingerprint="",
            split={"kind": "none"},
            parameters={"imported_from": source.name, "model_sha256": sha256(source.content)},
        ),
        signer=signer,
        about=replace(about, card="\n\n".join(filter(None, (about.card, source.note, NOTE)))),
    )


def _packing(tensors: Sequence[TensorInfo], columns: tuple[str, ...]) -> Packing:
    """Return a contract with a field a column, and how these become the tensors again."""
    for tensor in tensors:
        if len(tensor.shape) != 2:
            raise PackageError(
                f"the model's tensor {tensor.name!r} has the shape {list(tensor.shape)}; "
                "Gnomon packs rows of columns, [-1, columns]"
            )
    widths = [tensor.width for tensor in tensors]
    if columns and -1 in widths and len(tensors) == 1:
        widths = [len(columns)]
    if -1 in widths:
        raise ConfigurationError("how many columns the model takes is open; name them")
    if columns and sum(widths) != len(columns):
        raise ConfigurationError(
            f"{len(columns)} columns are named, but the model takes {sum(widths)}"
        )
    names = iter(columns)
    fields: list[Field] = []
    packed = []
    for tensor, width in zip(tensors, widths, strict=True):
        kind = datatype(tensor)
        own = list(_fields(tensor, kind, width, names if columns else None))
        # Whole numbers have no NaN; nothing here may be missing, so the number is never used.
        missing = 0.0 if kind.startswith("INT") else float("nan")
        features = tuple(Feature(field.name, "value", missing) for field in own)
        packed.append(Tensor(tensor.name, kind, features))
        fields += own
    return Packing(Contract(fields), packed)


def _fields(
    tensor: TensorInfo, datatype: str, width: int, names: Iterator[str] | None
) -> Iterator[Field]:
    kind, base = _KINDS[datatype], _plain(tensor.name)
    if names is None and width > _SCALARS and kind is Kind.FLOAT32:
        yield Field(name=base, kind=Kind.VECTOR, shape=(width,))
        return
    for number in range(width):
        name = next(names) if names else base if width == 1 else f"{base}_{number}"
        yield Field(name=name, kind=kind)


def _try_rows(
    model: ModelFile, tensors: Sequence[TensorInfo]
) -> tuple[list[dict[str, Any]], list[NDArray[Any]]]:
    """Return made-up rows, zeros and ones first, and what the model answers to them."""
    contract = model.packing.contract
    width = sum(field.size for field in contract.fields)
    made_up = np.random.default_rng(0).standard_normal((_GOLDEN_ROWS, width))
    made_up[:2] = [[0.0], [1.0]]
    ends = np.cumsum([field.size for field in contract.fields])[:-1]
    rows = [
        {
            field.name: _value(field, part)
            for field, part in zip(contract.fields, parts, strict=True)
        }
        for parts in (np.split(row, ends) for row in made_up)
    ]
    arrays = {name: [row[name] for row in rows] for name in contract.names}
    checked, _ = contract.check_columns(
        {
            field.name: np.asarray(
                arrays[field.name], np.float32 if field.kind.is_vector else field.kind.value
            )
            for field in contract.fields
        }
    )
    answers = answer(
        model.format,
        model.content,
        model.packing.pack_columns(checked),
        model.output_tensors,
        is_single_row=any(tensor.shape[:1] == (1,) for tensor in tensors),
    )
    return rows, answers


def _value(field: Field, numbers: NDArray[np.float64]) -> Any:
    if field.kind.is_vector:
        return numbers.round(4).tolist()
    number = round(float(numbers[0]), 4)
    return int(number) if field.kind.is_integer else number


def _good_rows(
    rows: list[dict[str, Any]],
    answers: list[NDArray[Any]],
    outputs: tuple[Field, ...],
    name: str,
) -> list[dict[str, Any]]:
    """Return the rows whose answers are finite."""
    columns = OutputReader(name, outputs).read_columns(answers, len(rows))
    _, wrong = Contract(outputs).check_columns(columns)
    bad = wrong.rejected_rows(len(rows)) if wrong else np.zeros(len(rows), np.bool_)
    good = [row for row, is_bad in zip(rows, bad, strict=True) if not is_bad]
    if not good:
        raise EngineError(
            f"{name}: the model answers no made-up row with finite numbers; build the package from "
            "a recipe with data"
        )
    return good


def _no_reference(fields: tuple[Field, ...]) -> Reference:
    empty = {field.name: np.empty((0, *field.shape)) for field in fields}
    return Reference.from_columns(fields, empty, pairs="none")


def _plain(name: str) -> str:
    """Return a tensor's name as a field's: letters, digits, `_`, `.` and `-`."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    return plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"


def _read_mlflow(folder: Path) -> Source:
    try:
        text = (folder / _MLFLOW_FILE).read_bytes()
        document = msgspec.yaml.decode(text, type=dict[str, Any])
    except (OSError, ImportError, msgspec.DecodeError) as error:
        raise ConfigurationError(
            f"{folder / _MLFLOW_FILE}, which makes a folder an MLflow model, cannot be read: "
            f"{error}"
        ) from error
    flavors = document.get("flavors") or {}
    if "onnx" not in flavors:
        raise ConfigurationError(
            f"{folder} holds the flavours {', '.join(flavors) or 'none'}; only onnx can be "
            "imported: the others are code, which an import does not run"
        )
    file = str(flavors["onnx"].get("data", "model.onnx"))
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ConfigurationError(f"{folder / _MLFLOW_FILE}: {file!r} lies outside of the folder")
    return replace(read_source(path), columns=_mlflow_columns(document))


def _mlflow_columns(document: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the columns in the model's signature; none where it is of tensors."""
    signature = (document.get("signature") or {}).get("inputs") or "[]"
    try:
        inputs = msgspec.json.decode(signature)
        return tuple(str(one["name"]) for one in inputs if one.get("type") != "tensor")
    except (msgspec.DecodeError, KeyError, AttributeError, TypeError):
        return ()
