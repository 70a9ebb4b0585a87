"""The values of one field as a tensor's datatype and elements, with the rows that have none."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.raw_tensors import ELEMENT_TYPES, TEXT

__all__ = ["ColumnValues", "read_column"]

#: What is right for a column that no tensor holds.
_ONE_KIND = "numbers, texts, bools or lists of these, one kind a field"

_DATATYPES = {np.dtype(kind): name for name, kind in ELEMENT_TYPES.items()}


class ColumnValues(NamedTuple):
    """A column as it is sent: elements of shape (rows,) or (rows, …), and rows without a value.

    A missing value among floats is NaN, and its row is not listed.
    """

    datatype: str
    values: NDArray[Any]
    missing: Sequence[int] = ()


def read_column(name: str, values: Sequence[Any] | NDArray[Any]) -> ColumnValues:
    """Return a column of values; None is missing, and NaN among texts and bools.

    Args:
        name: what errors call the field.
        values: an array of shape (rows,) or (rows, …), or the values of Python of all rows.

    Raises:
        InvalidInput: the values differ in kind, or no tensor can hold them.
    """
    if isinstance(values, np.ndarray):
        datatype = _DATATYPES.get(values.dtype.newbyteorder("<"))
        if datatype is not None:
            return ColumnValues(datatype, values)
        if values.dtype.kind in "UT":
            return ColumnValues(TEXT, values.astype(object))
        if values.dtype.kind != "O":
            raise _unusable(name, {values.dtype.name}, _ONE_KIND)
        values = values.tolist() if values.ndim == 1 else list(values)
    return _of_objects(name, values)


def _of_objects(name: str, values: Sequence[Any]) -> ColumnValues:
    values = [one.item() if isinstance(one, np.generic) else one for one in values]
    missing = [row for row, value in enumerate(values) if _is_missing(value)]
    kinds = {type(value) for value in values if not _is_missing(value)}
    try:
        if kinds <= {int, float}:
            return _numbers(values, missing, kinds)
        if kinds == {str}:
            return ColumnValues(TEXT, _objects(values, missing, ""), missing)
        if kinds == {bool}:
            return ColumnValues("BOOL", np.array(_filled(values, missing, False)), missing)
        if kinds <= {list, tuple, np.ndarray}:
            return _vectors(values, missing)
    except (ValueError, TypeError, OverflowError) as error:
        raise _unusable(name, _shown(kinds), str(error)) from error
    raise _unusable(name, _shown(kinds), _ONE_KIND)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _numbers(values: list[Any], missing: list[int], kinds: set[type]) -> ColumnValues:
    """Return whole numbers as such, unless values are missing and float64 holds the others."""
    is_wide = any(type(one) is int and int(float(one)) != one for one in values)
    if kinds == {int} and (is_wide or not missing):
        whole = _filled(values, missing, 0)
        is_signed = max(whole) <= np.iinfo(np.int64).max
        array = np.array(whole, np.int64 if is_signed else np.uint64)
        return ColumnValues("INT64" if is_signed else "UINT64", array, missing)
    if is_wide:
        raise ValueError("whole numbers beside others that float64 does not hold exactly")
    return ColumnValues("FP64", np.array(_filled(values, missing, math.nan), np.float64))


def _vectors(values: list[Any], missing: list[int]) -> ColumnValues:
    """Return tensors of a shape a row: of texts, bools or numbers, exactly as they are.

    Numbers go as float32, in which fields hold vectors, if it has each of them.
    """
    arrays = [one for one in values if isinstance(one, np.ndarray) and one.dtype != object]
    if len(arrays) == len(values) and len({one.dtype for one in arrays}) == 1:
        return read_column("", np.stack(arrays))
    first = np.asarray(next(one for one in values if not _is_missing(one)), object)
    empty = {str: "", bool: False, int: 0}.get(type(first.ravel()[0]) if first.size else float, 0.0)
    filled = _filled(values, missing, np.full(first.shape, empty, object))
    array = np.stack([np.asarray(one, object) for one in filled])
    kinds = {type(one) for one in array.ravel().tolist()}
    if kinds == {str}:
        return ColumnValues(TEXT, array, missing)
    if kinds == {bool}:
        return ColumnValues("BOOL", array.astype(np.bool_), missing)
    if not kinds <= {int, float}:
        raise ValueError("lists of numbers, of texts or of bools")
    numbers = array.astype(np.float64)
    if not (numbers == array)[~np.isnan(numbers)].all():
        return ColumnValues("INT64", _whole(array, kinds), missing)
    with np.errstate(over="ignore"):
        narrow = numbers.astype(np.float32)
    is_exact = np.array_equal(narrow, numbers, equal_nan=True)
    return ColumnValues("FP32" if is_exact else "FP64", narrow if is_exact else numbers, missing)


def _whole(array: NDArray[Any], kinds: set[type]) -> NDArray[Any]:
    """Return whole numbers that float64 does not hold."""
    if kinds != {int}:
        raise ValueError("whole numbers beside others that float64 does not hold exactly")
    return array.astype(np.int64)


def _filled(values: list[Any], missing: list[int], placeholder: Any) -> list[Any]:
    filled = list(values)
    for row in missing:
        filled[row] = placeholder
    return filled


def _objects(values: list[Any], missing: list[int], placeholder: str) -> NDArray[Any]:
    array = np.empty(len(values), object)
    array[:] = _filled(values, missing, placeholder)
    return array


def _shown(kinds: set[type]) -> set[str]:
    return {kind.__name__ for kind in kinds}


def _unusable(name: str, kinds: set[str], expected: str) -> InvalidInput:
    found = " and ".join(sorted(kinds))
    return InvalidInput(
        f"field {name!r} has values of {found}; right would be {expected}",
        details=[{"field": name, "rule": "type", "value": found, "expected": expected}],
    )
