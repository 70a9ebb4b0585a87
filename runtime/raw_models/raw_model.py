"""A model file and nothing else: the contract that shapes and types give, and rows to try it on.

There are no ranges, no categories and no reference to detect drift with. Such a package can run,
refuse rows of other types, and count its calls.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.fields import ContractError, Field, Kind
from gnomon.core.packing import Feature, Packing, Tensor
from gnomon.core.profiling import build_reference
from gnomon.core.reference import Reference
from gnomon.core.row import Columns
from gnomon.runtime.errors import ConfigurationError, EngineError, PackageError
from gnomon.runtime.models.outputs import OutputReader
from gnomon.runtime.packages.chunks import sha256
from gnomon.runtime.packages.golden import Golden, encode_golden
from gnomon.runtime.packages.manifest import Reproducibility, Signature, TensorSpec
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.runtime.packages.writing import write_package
from gnomon.runtime.raw_models.probe import TensorInfo, answer, datatype, derive_kind, read_tensors

__all__ = ["FORMATS", "RawModel", "derive_model", "origin", "signature", "write_raw_model"]

logger = logging.getLogger("gnomon.runtime")

#: What a model file may end in.
FORMATS = ("onnx", "tflite")

#: A tensor of more columns than this becomes one vector, unless its columns are named.
_SCALARS = 64
_ROWS = 5
_KINDS = {
    "FP32": Kind.FLOAT32,
    "FP64": Kind.FLOAT64,
    "INT32": Kind.INT32,
    "INT64": Kind.INT64,
}
#: Open Inference Protocol datatypes of what is not an integer; texts of any kind are BYTES.
_DATATYPES = {
    Kind.BOOL: "BOOL",
    Kind.FLOAT32: "FP32",
    Kind.FLOAT64: "FP64",
    Kind.VECTOR: "FP32",
    Kind.TENSOR: "FP32",
}


@dataclass(frozen=True, slots=True)
class RawModel:
    """What a model's own tensors say: how fields become them, a profile, rows that it answers."""

    format: str
    content: bytes
    packing: Packing
    output_tensors: tuple[str, ...]
    profile: Profile
    rows: tuple[dict[str, Any], ...]


def derive_model(format: str, content: bytes, name: str, columns: Sequence[str] = ()) -> RawModel:
    """Return what a model file by itself tells; `name` is what errors call it.

    `columns` names the columns of the model's only tensor, in order; without them they are called
    by their tensor and number. The inputs of a model with several tensors have names of their own,
    so there `columns` may only repeat these, in any order.

    Args:
        format: "onnx" or "tflite".
        content: bytes of the model file.
        name: what errors call it.
        columns: names of the columns of the model's one tensor, or of its inputs.

    Raises:
        PackageError: the file is not a model, or its tensors are not rows of numbers.
        ConfigurationError: there are not as many names as columns, or other names than inputs.
        EngineError: the model fails on every row that was tried, or an output's first axis is not
            the rows.
    """
    tensors = read_tensors(format, content)
    try:
        packing = _packing(tensors.inputs, tuple(columns))
    except ContractError as error:
        raise PackageError(f"{name}: {error}") from error
    inputs = packing.contract.fields
    given = tuple(one for one in tensors.outputs if one.dtype is not None)
    if not given:
        raise PackageError(f"{name}: the model gives no tensor of numbers")
    output_tensors = tuple(one.name for one in given)
    rows, columns_of_rows = _made_up(packing.contract)
    answers = answer(
        format,
        content,
        packing.pack_columns(columns_of_rows),
        output_tensors,
        is_single_row=any(tensor.shape[:1] == (1,) for tensor in tensors.inputs),
        reference=name,
    )
    outputs = tuple(
        Field(name=_plain(tensor.name), **derive_kind(values))
        for tensor, values in zip(given, answers, strict=True)
    )
    good = tuple(_good_rows(rows, answers, outputs, name))
    profile = Profile(inputs, (), outputs, _no_reference(inputs), _no_reference(outputs))
    return RawModel(format, content, packing, output_tensors, profile, good)


def write_raw_model(path: Path, folder: Path, name: str, version: str) -> Package:
    """Write an unsigned package of a `.onnx` or `.tflite` file as `folder`; say so in the log.

    Its golden rows warm it up; they hold no outputs, since nothing but this file could know them.

    Args:
        path: of the model file.
        folder: of the new package.
        name: the model's name.
        version: the version's name.

    Raises:
        ConfigurationError: the file cannot be read.
        PackageError, EngineError: as `derive_model`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    bare = derive_model(path.suffix.lstrip("."), content, path.name)
    model_file = f"model.{bare.format}"
    manifest = {
        "name": name,
        "version": version,
        "format": bare.format,
        "model_file": model_file,
        "signature": signature(bare.profile),
        "packing": bare.packing.to_dict(),
        "output_tensors": bare.output_tensors,
        "reproducibility": origin(path.name, content),
    }
    files: dict[str, bytes | Path] = {
        model_file: content,
        "profile.json": encode_profile(bare.profile),
        "golden.json": encode_golden(Golden(rows=bare.rows, outputs=({},) * len(bare.rows))),
    }
    package = write_package(folder, manifest, files, None)
    logger.info(
        "%s@%s is the bare file %s: its contract is what its tensors' shapes and types say (%s), "
        "without ranges, categories or anything to judge drift by",
        name,
        version,
        path,
        ", ".join(f"{one.name} {one.datatype}" for one in package.manifest.signature.inputs),
    )
    return package


def origin(name: str, content: bytes) -> Reproducibility:
    """Return the record of a model whose training is unknown."""
    return Reproducibility(
        code_version="unknown",
        code_clean=False,
        dataset_uri="",
        dataset_fingerprint="",
        split={"kind": "none"},
        parameters={"imported_from": name, "model_sha256": sha256(content)},
    )


def signature(profile: Profile) -> Signature:
    """Return what clients of this profile send and get: one tensor a field."""
    return Signature(
        inputs=tuple(_tensor(column) for column in profile.inputs),
        outputs=tuple(_tensor(column) for column in profile.outputs),
    )


def _tensor(column: Field) -> TensorSpec:
    kind = column.kind
    datatype = kind.value.upper() if kind.is_integer else _DATATYPES.get(kind, "BYTES")
    return TensorSpec(name=column.name, datatype=datatype, shape=(-1, *(column.shape or (1,))))


def _packing(tensors: Sequence[TensorInfo], columns: tuple[str, ...]) -> Packing:
    """Return a contract with a field a column, and how these become the tensors again."""
    for tensor in tensors:
        if len(tensor.shape) != 2:
            raise PackageError(
                f"the model's tensor {tensor.name!r} has the shape {list(tensor.shape)}; "
                "Gnomon packs rows of columns, [-1, columns]"
            )
    widths = [tensor.width for tensor in tensors]
    if len(tensors) == 1 and columns:
        widths = _width_of_columns(widths[0], columns)
    if -1 in widths:
        raise ConfigurationError("how many columns the model takes is open; name them")
    packed, fields = [], []
    for tensor, width in zip(tensors, widths, strict=True):
        kind = datatype(tensor)
        own = _fields(tensor, kind, width, columns if len(tensors) == 1 else ())
        # Whole numbers have no NaN; nothing here may be missing, so the number is never used.
        missing = 0.0 if kind.startswith("INT") else float("nan")
        features = tuple(Feature(field.name, "value", missing) for field in own)
        packed.append(Tensor(tensor.name, kind, features))
        fields.append(own)
    if len(tensors) > 1 and columns:
        _check_names(tensors, fields, columns)
    return Packing(Contract([field for own in fields for field in own]), packed)


def _width_of_columns(width: int, columns: tuple[str, ...]) -> list[int]:
    """Return the width of the only tensor, which takes the columns by place: it names none."""
    if width not in (-1, len(columns)):
        raise ConfigurationError(f"{len(columns)} columns are named, but the model takes {width}")
    return [len(columns)]


def _check_names(
    tensors: Sequence[TensorInfo], fields: Sequence[Sequence[Field]], columns: tuple[str, ...]
) -> None:
    """Refuse columns that are not the model's own inputs, each once, in whatever order.

    An input of one column goes by its tensor's name, also if that is no name for a field.
    """
    aliases = {
        tensor.name: own[0].name
        for tensor, own in zip(tensors, fields, strict=True)
        if len(own) == 1
    }
    expected = [field.name for own in fields for field in own]
    if sorted(aliases.get(column, column) for column in columns) != sorted(expected):
        raise ConfigurationError(
            f"the model takes {', '.join(expected)} by name, but the columns are "
            f"{', '.join(columns)}; name each of the model's inputs once"
        )


def _fields(tensor: TensorInfo, datatype: str, width: int, columns: tuple[str, ...]) -> list[Field]:
    kind, base = _KINDS[datatype], _plain(tensor.name)
    if not columns and width > _SCALARS and kind is Kind.FLOAT32:
        return [Field(name=base, kind=Kind.VECTOR, shape=(width,))]
    names = columns or ([base] if width == 1 else [f"{base}_{number}" for number in range(width)])
    return [Field(name=name, kind=kind) for name in names]


def _made_up(contract: Contract) -> tuple[list[dict[str, Any]], Columns]:
    """Return made-up rows, zeros and ones first, as a client sends them and as they are checked."""
    width = sum(field.size for field in contract.fields)
    made_up = np.random.default_rng(0).standard_normal((_ROWS, width))
    made_up[:2] = [[0.0], [1.0]]
    ends = np.cumsum([field.size for field in contract.fields])[:-1]
    rows = [
        {
            field.name: _value(field, part)
            for field, part in zip(contract.fields, parts, strict=True)
        }
        for parts in (np.split(row, ends) for row in made_up)
    ]
    checked, _ = contract.check_columns(
        {
            field.name: np.asarray(
                [row[field.name] for row in rows],
                np.float32 if field.kind.is_vector else field.kind.value,
            )
            for field in contract.fields
        }
    )
    return rows, checked


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
    return build_reference(fields, empty, pairs="none")


def _plain(name: str) -> str:
    """Return a tensor's name as a field's: letters, digits, `_`, `.` and `-`."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    return plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"
