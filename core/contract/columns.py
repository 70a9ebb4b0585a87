"""The check of many rows at once, column by column; buffers flow through without a copy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract.blocks import check_numbers, check_vectors, severity_table
from gnomon.core.contract.layout import SEVERITIES, column_dtype, layout_of
from gnomon.core.contract.terms import ContractTerms
from gnomon.core.fields import ContractError, Field, Policy

__all__ = ["CheckedColumn", "check_column", "count_rows"]

MISSING, INVALID = 1, 2
MISSING_CODE = -1
REQUIRED, NULL, MINIMUM, MAXIMUM = 2, 3, 9, 10
PLAIN_DTYPES = frozenset("bhilqBHILQfd")


@dataclass(slots=True)
class CheckedColumn:
    """One column as it is passed on, with the status and the broken rule of each row if any."""

    array: NDArray[Any]
    status: NDArray[np.uint8] | None = None
    rules: NDArray[np.uint8] | None = None
    severities: NDArray[np.uint8] | None = None


def count_rows(contract: ContractTerms, mapping: Mapping[str, Any]) -> int:
    """Return the one length of all columns; raises `ContractError` if they differ."""
    columns = [(name, mapping[name]) for name in contract.names if name in mapping]
    if not columns:
        return max((len(column) for column in mapping.values()), default=0)
    rows = len(columns[0][1])
    for name, column in columns:
        if len(column) != rows:
            raise ContractError(
                f"field {name!r}: {len(column)} rows, but field {columns[0][0]!r} has {rows}"
            )
    return rows


def check_column(contract: ContractTerms, index: int, data: Any, rows: int) -> CheckedColumn:
    """Check one field's column and apply the field's policy.

    Args:
        contract: the terms of the contract.
        index: the field's position in the contract, from 0.
        data: an array of shape (rows,) or (rows, width), or a list; None if the column is absent.
        rows: number of rows.
    """
    field = contract.fields[index]
    if data is None:
        return _repaired(contract, index, _absent(field, rows), owned=True)
    if isinstance(data, np.ndarray) and data.ndim >= 1:
        if field.kind.is_vector:
            return _vectors(contract, index, data)
        if data.ndim == 1 and data.dtype.char in PLAIN_DTYPES:
            return _numbers(contract, index, data)
        if data.dtype == np.bool_ and field.kind.value == "bool" and data.ndim == 1:
            return CheckedColumn(np.ascontiguousarray(data))
        data = data.tolist() if data.ndim == 1 and data.dtype.kind in "bUSOT" else list(data)
    return _objects(contract, index, data)


def _absent(field: Field, rows: int) -> CheckedColumn:
    shape = (rows, *field.shape)
    dtype = column_dtype(field)
    if field.kind.is_text:
        array: NDArray[Any] = np.full(shape, MISSING_CODE, dtype=dtype)
    else:
        array = np.full(shape, np.nan, dtype=dtype if dtype.kind == "f" else np.float64)
    rules = np.full(rows, REQUIRED if field.required else 0, dtype=np.uint8)
    return CheckedColumn(array, np.full(rows, MISSING, dtype=np.uint8), rules)


def _numbers(contract: ContractTerms, index: int, data: NDArray[Any]) -> CheckedColumn:
    field = contract.fields[index]
    dtype = column_dtype(field)
    own = data.dtype == dtype and not field.kind.is_text
    array = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))
    numbers, rules, status = check_numbers(contract, index, array)
    if own:
        return _repaired(contract, index, CheckedColumn(array, status, rules), owned=False)
    return _converted(contract, index, CheckedColumn(numbers, status, rules))


def _objects(contract: ContractTerms, index: int, data: Sequence[Any]) -> CheckedColumn:
    field = contract.fields[index]
    if field.kind.is_vector:
        return _vector_objects(contract, index, data)
    numbers, rules, status = contract.check_objects(index, data, contract.new_row())
    return _converted(contract, index, CheckedColumn(numbers, status, rules))


def _converted(contract: ContractTerms, index: int, column: CheckedColumn) -> CheckedColumn:
    """Bring checked numbers into the field's own dtype, if it can hold all of them."""
    field = contract.fields[index]
    dtype = column_dtype(field)
    assert column.rules is not None and column.status is not None  # noqa: S101
    if field.kind.is_text:
        missing = np.isnan(column.array)
        column.array = np.where(missing, MISSING_CODE, column.array).astype(dtype)
    elif field.kind.is_float:
        column.array = column.array.astype(dtype, copy=False)
    elif not column.status.any():
        column.array = column.array.astype(dtype)
    return _repaired(contract, index, column, owned=True)


def _vectors(contract: ContractTerms, index: int, data: NDArray[Any]) -> CheckedColumn:
    field = contract.fields[index]
    if data.dtype.kind not in "iuf" or data.shape[1:] != field.shape:
        return _vector_objects(contract, index, list(data))
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(data, dtype=np.float32)
    if array.dtype != data.dtype and bool(np.any(np.isinf(array) & ~np.isinf(data))):
        return _vector_objects(contract, index, list(data))
    rules = check_vectors(contract, index, array.reshape(len(array), field.size))
    if not rules.any():
        return CheckedColumn(array)
    return _repaired(contract, index, CheckedColumn(array, _status(rules), rules), owned=False)


def _vector_objects(contract: ContractTerms, index: int, data: Sequence[Any]) -> CheckedColumn:
    field = contract.fields[index]
    row = contract.new_row()
    start = sum(item.size for item in contract.fields[:index] if item.kind.is_vector)
    array = np.full((len(data), field.size), np.nan, dtype=np.float32)
    rules = np.zeros(len(data), dtype=np.uint8)
    status = np.zeros(len(data), dtype=np.uint8)
    for position, value in enumerate(data):
        row.vectors[:] = np.nan
        _, rules[position : position + 1], status[position : position + 1] = contract.check_objects(
            index, [value], row
        )
        array[position] = row.vectors[start : start + field.size]
    column = CheckedColumn(array.reshape(len(data), *field.shape), status, rules)
    return _repaired(contract, index, column, owned=True)


def _status(rules: NDArray[np.uint8]) -> NDArray[np.uint8]:
    missing = (rules == REQUIRED) | (rules == NULL)
    status: NDArray[np.uint8] = np.where(missing, MISSING, np.where(rules > 0, INVALID, 0))
    return status.astype(np.uint8)


def _repaired(
    contract: ContractTerms, index: int, column: CheckedColumn, *, owned: bool
) -> CheckedColumn:
    """Apply the field's policy to the rows that broke a rule, in a copy unless `owned`."""
    field = contract.fields[index]
    assert column.rules is not None and column.status is not None  # noqa: S101
    if not column.rules.any():
        column.rules = None
        if not field.kind.is_vector or not column.status.any():
            column.status = None
        return column
    column.severities = severity_table(contract, index)[column.rules]
    if field.policy not in (Policy.IMPUTE, Policy.CLIP):
        return column
    imputed = column.severities == SEVERITIES[Policy.IMPUTE]
    clipped = column.severities == SEVERITIES[Policy.CLIP]
    if not imputed.any() and not clipped.any():
        return column
    column.array = column.array if owned else column.array.copy()
    if field.impute is not None:
        impute = layout_of(field)["impute"] if field.kind.is_text else field.impute
        column.array[imputed] = impute
        return column
    low, high = _edges(field)
    column.array[clipped & (column.rules == MINIMUM)] = low
    column.array[clipped & (column.rules == MAXIMUM)] = high
    return column


def _edges(field: Field) -> tuple[Any, Any]:
    if field.kind.is_integer:
        return field.integer_bounds
    layout = layout_of(field)
    return layout["minimum"], layout["maximum"]
