"""Converts checked fields to an engine's tensors: the same in training, on server and device."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.fields import ContractError, Field, Kind
from gnomon.core.packing.loop import TensorPacker
from gnomon.core.row import Columns, Row

__all__ = ["Feature", "Packing", "Tensor"]

# The Open Inference Protocol's names, in the order of `loop.pxd`.
DTYPES: dict[str, type[np.generic]] = {
    "FP32": np.float32,
    "FP64": np.float64,
    "INT32": np.int32,
    "INT64": np.int64,
}
ENCODINGS = ("value", "code", "onehot")
VECTOR = 3


@dataclass(frozen=True, slots=True)
class Feature:
    """One field in a tensor.

    `encode` is "value" for numbers, bools and vectors, "code" for a category's position among its
    allowed values, or "onehot" for one column a category (all zero for a missing or unknown one).
    `missing` stands for a missing value, for a category that is not known, and in a tensor of
    integers for a flagged value that is no integer of its dtype.
    """

    field: str
    encode: str = "value"
    missing: float = math.nan


@dataclass(frozen=True, slots=True)
class Tensor:
    """One of the engine's inputs: `dtype` is FP32, FP64, INT32 or INT64, shape (rows, width)."""

    name: str
    dtype: str
    features: tuple[Feature, ...]


class Packing:
    """Writes checked rows into tensors.

    Raises `ContractError` if a feature does not suit its field or its tensor.

    >>> from gnomon.core.fields import Field, Kind
    >>> contract = Contract([Field(name="hour", kind=Kind.INT8)])
    >>> row = contract.new_row()
    >>> contract.check_row({"hour": 7}, row)
    >>> packing = Packing(contract, [Tensor("input", "FP32", (Feature("hour"),))])
    >>> packing.pack_row(row)
    {'input': array([[7.]], dtype=float32)}
    """

    def __init__(self, contract: Contract, tensors: Sequence[Tensor]) -> None:
        self.contract = contract
        self.tensors = tuple(tensors)
        names = [tensor.name for tensor in tensors]
        if len(set(names)) != len(names):
            raise ContractError(f"packing: tensor names must differ, not {', '.join(names)}")
        self._packers = [
            (tensor.name, DTYPES[tensor.dtype], _packer(contract, tensor))
            for tensor in map(_known_dtype, self.tensors)
        ]

    @property
    def packers(self) -> tuple[TensorPacker, ...]:
        """The compiled tensors, for native code."""
        return tuple(packer for _, _, packer in self._packers)

    @property
    def widths(self) -> dict[str, int]:
        """How many columns each tensor has."""
        return {name: packer.width for name, _, packer in self._packers}

    def pack_row(self, row: Row) -> dict[str, NDArray[Any]]:
        """Return each tensor for one row, of shape (1, width)."""
        tensors = {}
        for name, dtype, packer in self._packers:
            tensors[name] = array = np.empty((1, packer.width), dtype=dtype)
            packer.pack_row(row, array)
        return tensors

    def pack_columns(self, columns: Columns) -> dict[str, NDArray[Any]]:
        """Return each tensor for all rows, of shape (rows, width)."""
        tensors = {}
        for name, dtype, packer in self._packers:
            tensors[name] = array = np.empty((columns.rows, packer.width), dtype=dtype)
            packer.pack_columns(columns, array)
        return tensors

    def to_dict(self) -> dict[str, Any]:
        """Return the packing in plain JSON types; a `missing` of NaN is written as null."""
        return {"tensors": [_tensor_to_dict(tensor) for tensor in self.tensors]}

    @classmethod
    def from_dict(cls, contract: Contract, data: Mapping[str, Any]) -> Self:
        """Build from `to_dict`'s form; a key that is not known is refused by its name."""
        _check_keys("packing", data, {"tensors"}, {"tensors"})
        return cls(contract, [_tensor_from_dict(tensor) for tensor in data["tensors"]])


def _tensor_to_dict(tensor: Tensor) -> dict[str, Any]:
    features = [
        {
            "field": feature.field,
            "encode": feature.encode,
            "missing": None if math.isnan(feature.missing) else feature.missing,
        }
        for feature in tensor.features
    ]
    return {"name": tensor.name, "dtype": tensor.dtype, "features": features}


def _tensor_from_dict(data: Mapping[str, Any]) -> Tensor:
    _check_keys("tensor", data, {"name", "dtype", "features"}, {"name", "dtype", "features"})
    features = []
    for item in data["features"]:
        _check_keys(f"tensor {data['name']!r}", item, {"field"}, {"field", "encode", "missing"})
        missing = item.get("missing")
        if missing is not None and (
            isinstance(missing, bool) or not isinstance(missing, int | float)
        ):
            raise ContractError(
                f"tensor {data['name']!r}: missing must be a number, not {missing!r}"
            )
        features.append(Feature(item["field"], item.get("encode", "value"), _number(missing)))
    return Tensor(data["name"], data["dtype"], tuple(features))


def _number(missing: float | None) -> float:
    """Return a float; a whole number that none holds exactly stays, for its tensor to refuse."""
    if missing is None:
        return math.nan
    try:
        number = float(missing)
    except OverflowError:
        raise ContractError("packing: missing is a number beyond float64") from None
    return number if number == missing or math.isnan(number) else missing


def _check_keys(where: str, data: Mapping[str, Any], needed: set[str], known: set[str]) -> None:
    extra, absent = sorted(set(data) - known), sorted(needed - set(data))
    if extra:
        raise ContractError(f"{where}: unknown key {extra[0]!r}; known are {sorted(known)}")
    if absent:
        raise ContractError(f"{where}: key {absent[0]!r} is missing")


def _known_dtype(tensor: Tensor) -> Tensor:
    if tensor.dtype not in DTYPES:
        raise ContractError(
            f"tensor {tensor.name!r}: dtype {tensor.dtype!r} is unknown; use {', '.join(DTYPES)}"
        )
    if not tensor.features:
        raise ContractError(f"tensor {tensor.name!r}: at least one feature is needed")
    return tensor


def _packer(contract: Contract, tensor: Tensor) -> TensorPacker:
    plans = []
    start = 0
    sizes = [field.size if field.kind.is_vector else 0 for field in contract.fields]
    offsets = [0, *accumulate(sizes)]
    places = {name: place for place, name in enumerate(contract.names)}
    for feature in tensor.features:
        field = _field(contract, tensor, feature, places)
        _check_feature(tensor, feature, field)
        width = field.size
        if feature.encode == "onehot":
            width = len(field.allowed or ())
        encoding = VECTOR if field.kind.is_vector else ENCODINGS.index(feature.encode)
        index = places[field.name]
        plans.append((index, encoding, start, width, offsets[index], 0, feature.missing))
        start += width
    return TensorPacker(plans, list(DTYPES).index(tensor.dtype), start)


def _field(
    contract: Contract, tensor: Tensor, feature: Feature, places: Mapping[str, int]
) -> Field:
    if feature.field not in places:
        raise ContractError(
            f"tensor {tensor.name!r}: unknown field {feature.field!r}; "
            f"there are {', '.join(contract.names)}"
        )
    return contract.fields[places[feature.field]]


def _check_feature(tensor: Tensor, feature: Feature, field: Field) -> None:
    where = f"tensor {tensor.name!r}, field {field.name!r}"
    if feature.encode not in ENCODINGS:
        raise ContractError(f"{where}: encode {feature.encode!r}; use {', '.join(ENCODINGS)}")
    known = field.kind.is_text and field.allowed is not None
    if known != (feature.encode != "value") or (field.kind.is_text and not known):
        right = "'code' or 'onehot'" if known else "'value', and a text without 'allowed' has none"
        raise ContractError(f"{where}: a {field.kind.value} field takes encode {right}")
    if tensor.dtype.startswith("FP"):
        return
    if field.kind.is_float or field.kind.is_vector:
        raise ContractError(
            f"{where}: {field.kind.value} does not fit into {tensor.dtype}; use FP32"
        )
    limits = np.iinfo(np.int32 if tensor.dtype == "INT32" else np.int64)
    if field.kind.is_integer or field.kind is Kind.BOOL or feature.encode == "code":
        _check_whole(where, tensor, feature, field, limits)


def _check_whole(
    where: str, tensor: Tensor, feature: Feature, field: Field, limits: np.iinfo[Any]
) -> None:
    missing = feature.missing
    if not math.isfinite(missing) or missing != int(missing):
        raise ContractError(
            f"{where}: {tensor.dtype} has no NaN; give a whole number for missing values"
        )
    if not limits.min <= missing <= limits.max or int(float(missing)) != missing:
        raise ContractError(
            f"{where}: {missing} for missing values must be a whole number that both "
            f"{tensor.dtype} and float64 hold exactly"
        )
    if field.kind.is_integer:
        low, high = field.integer_bounds
        if low < limits.min or high > limits.max:
            raise ContractError(
                f"{where}: {field.kind.value} may exceed {tensor.dtype}; "
                "narrow the field's bounds or take INT64 or FP64"
            )
