"""The contract of inputs that are tensors: datatype, shape, and the mean of the elements.

A tensor passes as it is or is refused; no element is cut off. A whole number must be one that the
datatype holds. A float may be rounded to a shorter one, but not beyond its range. NaN and
infinities pass, as models of tensors may mean them; None among floats is NaN.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.contract.violations import Violations
from gnomon.core.fields import ContractError, Field
from gnomon.core.row import Columns, Row
from gnomon.runtime.packages.served_tensors import TensorField
from gnomon.runtime.raw_tensors import TEXT

__all__ = ["TensorContract", "means_of"]

#: From here on float64 does not hold each whole number.
_EXACT = 2.0**53


class TensorContract(Contract):
    """Fields that hold the means of tensors, and the tensors themselves.

    `check_row` and `check_columns` take tensors and raise `ContractError` if one has another
    datatype or shape; `read_row` and `read_columns` return them as the engine takes them.
    """

    def __new__(cls, fields: Sequence[Field], tensors: Sequence[TensorField]) -> Self:
        """Compile; the arguments are those of the class."""
        return super().__new__(cls, fields)

    def __init__(self, fields: Sequence[Field], tensors: Sequence[TensorField]) -> None:
        super().__init__(fields)
        self.tensors = tuple(tensors)
        if [one.name for one in tensors] != [field.name for field in fields]:
            raise ContractError("packing: the tensors are not those of the fields")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.fields, self.tensors)

    def check_row(self, mapping: Mapping[str, Any], row: Row) -> Violations | None:
        """Check one row: the tensors of a call, without an axis of rows."""
        means = {name: float(mean[0]) for name, mean in self._means(self._read(mapping, 1)).items()}
        return super().check_row({**self._unknown(mapping), **means}, row)

    def check_columns(self, mapping: Mapping[str, Any]) -> tuple[Columns, Violations | None]:
        """Check the rows of a call: tensors whose first axis is the rows."""
        means = self._means(self._read(mapping, None))
        return super().check_columns({**self._unknown(mapping), **means})

    def read_row(self, mapping: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return one row's tensors by the engine's names, each of shape (1, …)."""
        return self._by_tensor(self._read(mapping, 1))

    def read_columns(self, mapping: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return the tensors of all rows by the engine's names, each of shape (rows, …)."""
        return self._by_tensor(self._read(mapping, None))

    def _read(self, mapping: Mapping[str, Any], rows: int | None) -> dict[str, NDArray[Any]]:
        """Return the tensors that are there by field; `rows` 1: of one row."""
        return {
            one.name: _read_tensor(one, mapping[one.name], is_row=rows == 1)
            for one in self.tensors
            if one.name in mapping
        }

    def _unknown(self, mapping: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in mapping.items() if name not in self.positions}

    def _means(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
        return {name: means_of(array) for name, array in tensors.items()}

    def _by_tensor(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {one.tensor: np.ascontiguousarray(arrays[one.name]) for one in self.tensors}


def means_of(array: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of each row's elements; NaN, which is missing, if it is not finite.

    Of texts it is the mean number of characters.

    Args:
        array: of shape (rows, …).
    """
    flat = array.reshape(len(array), math.prod(array.shape[1:]))
    if flat.dtype == object:
        flat = np.array([[len(text) for text in row] for row in flat], np.float64).reshape(
            flat.shape
        )
    if not flat.shape[1]:
        return np.full(len(flat), np.nan)
    with np.errstate(all="ignore"):
        means: NDArray[np.float64] = flat.mean(axis=1, dtype=np.float64)
    return np.where(np.isfinite(means), means, np.nan)


def _read_tensor(spec: TensorField, value: Any, *, is_row: bool) -> NDArray[Any]:
    """Return a value as the tensor, with the rows as its first axis."""
    if not is_row and isinstance(value, str | bytes):
        raise _mismatch(spec, "one text")
    if not is_row and not isinstance(value, np.ndarray):
        rows = [_read_tensor(spec, one, is_row=True) for one in value]
        if len({one.shape for one in rows}) > 1:
            raise _mismatch(spec, "rows of different shapes")
        return np.concatenate(rows)
    array = _convert(spec, value if isinstance(value, np.ndarray) else _array_of(spec, value))
    rows_shape = (1,) if is_row else array.shape[:1]
    tail = array.shape if is_row else array.shape[1:]
    if len(tail) != len(spec.shape) and array.size == (rows_shape or (0,))[0]:
        # On the wire and in Python, a row's only element may come without its axes.
        tail = (1,) * len(spec.shape)
    if not rows_shape or len(tail) != len(spec.shape) or not _fits(tail, spec.shape):
        raise _mismatch(spec, f"of shape {list(array.shape)}")
    return array.reshape(rows_shape + tail)


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return all(right in (-1, found) for found, right in zip(shape, expected, strict=True))


def _array_of(spec: TensorField, value: Any) -> NDArray[Any]:
    """Return nested lists of Python's values as an array, whole numbers exactly."""
    if spec.datatype == TEXT or spec.dtype.kind in "iub":
        array = np.array(value, object)
        return array if spec.datatype == TEXT else _whole(spec, array)
    try:
        numbers = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise _mismatch(spec, str(error)) from error
    if (np.abs(numbers) >= _EXACT).any():
        given = np.array(value, object).ravel().tolist()
        if any(type(one) is int and one != int(float(one)) for one in given):
            raise _mismatch(spec, "with whole numbers that float64 does not hold")
    return numbers


def _whole(spec: TensorField, array: NDArray[Any]) -> NDArray[Any]:
    kinds = {bool} if spec.dtype.kind == "b" else {int, float}
    flat = array.ravel().tolist()
    if not {type(one) for one in flat} <= kinds or any(int(one) != one for one in flat):
        raise _mismatch(spec, "with other values")
    return np.array([int(one) for one in flat], spec.dtype).reshape(array.shape)


def _convert(spec: TensorField, array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in the tensor's own datatype, without a change of value but for rounding."""
    if spec.datatype == TEXT:
        if array.dtype.kind in "UT":
            return array.astype(object)
        if array.dtype != object or not all(isinstance(one, str) for one in array.ravel().tolist()):
            raise _mismatch(spec, f"of {array.dtype}")
        return array
    if array.dtype == spec.dtype:
        return array
    if array.dtype == object:
        return _array_of(spec, array.tolist()).astype(spec.dtype, copy=False)
    if (array.dtype.kind == "b") != (spec.dtype.kind == "b") or array.dtype.kind not in "biuf":
        raise _mismatch(spec, f"of {array.dtype}")
    with np.errstate(all="ignore"):
        converted = array.astype(spec.dtype)
        if array.dtype.kind == "f" and spec.dtype.kind == "f":
            is_same = bool((np.isfinite(converted) == np.isfinite(array)).all())
        else:
            back = converted.astype(array.dtype)
            is_same = np.array_equal(converted, array) and np.array_equal(back, array)
    if not is_same:
        raise _mismatch(spec, f"of {array.dtype} that {spec.datatype} cannot hold")
    return converted


def _mismatch(spec: TensorField, found: str) -> ContractError:
    shape = ", ".join("any" if one == -1 else str(one) for one in spec.shape)
    return ContractError(
        f"the tensor {spec.name!r} is {found[:200]}; right would be {spec.datatype} of shape "
        f"({shape}) for each row"
    )
