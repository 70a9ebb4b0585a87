"""How outputs cross between engine, contract and caller."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.fields import Field, Kind
from gnomon.core.row import Columns, Row
from gnomon.runtime.errors import EngineError

#: Up to here float32, of which vectors are, holds each whole number, and no two share one.
_WHOLE_LIMIT = 2**24 - 1


class OutputReader:
    """Turns an engine's tensors into the outputs that callers see.

    A category's tensor holds codes, in the order of the field's `allowed`; a vector's has its shape
    after the row; every other tensor has one number a row.
    """

    def __init__(self, reference: str, fields: Sequence[Field]) -> None:
        self._reference = reference
        self._fields = tuple(fields)
        plain = len(fields) == 1 and fields[0].kind.is_float
        self._only = fields[0].name if plain else None

    def read_row(self, answers: Sequence[Any]) -> dict[str, Any]:
        """Return the outputs of one row as Python values; `answers` are floats or arrays."""
        if self._only is not None:
            answer = answers[0]
            if type(answer) is float:
                return {self._only: answer}
        arrays = [np.array([one]) if type(one) is float else one for one in answers]
        return {
            field.name: self._read(field, array, 1)[0]
            if field.kind.is_text
            else self._read(field, array, 1)[0].tolist()
            for field, array in zip(self._fields, arrays, strict=True)
        }

    def read_columns(self, answers: Sequence[NDArray[Any]], rows: int) -> dict[str, NDArray[Any]]:
        """Return the outputs of many rows, by name.

        Args:
            answers: one array for each field, of shape `(rows, …)`.
            rows: how many rows there should be.

        Raises:
            EngineError: an array has another shape than its field, or whole numbers that its
                vector cannot hold.
        """
        return {
            field.name: self._read(field, answer, rows)
            for field, answer in zip(self._fields, answers, strict=True)
        }

    def _read(self, field: Field, array: NDArray[Any], rows: int) -> NDArray[Any]:
        shape = (rows, *field.shape)
        # Of equal size is not enough: (5, N) holds the numbers of (N, 5) in another order.
        if array.shape != shape and (
            array.shape[:1] != (rows,)
            or _without_ones(array.shape[1:]) != _without_ones(field.shape)
        ):
            raise EngineError(
                f"{self._reference}: output {field.name!r} has shape {array.shape}, "
                f"expected {shape} for {rows} rows"
            )
        column = array.reshape(shape)
        if field.kind.is_text:
            return _texts(field, column.tolist())
        if field.kind.is_vector and column.dtype == np.bool_:
            return column.astype(np.float32)
        if field.kind.is_vector and column.dtype.kind in "iu":
            self._check_whole(field, column)
        # Nothing else is converted: a fraction for a whole number is for the contract to see.
        return column.astype(field.kind.value, copy=False) if field.kind.is_float else column

    def _check_whole(self, field: Field, column: NDArray[Any]) -> None:
        """Refuse a vector of whole numbers of which float32 may not hold one: two become one.

        Raises:
            EngineError: one is above the limit in magnitude.
        """
        large = (column > _WHOLE_LIMIT) | (column < -_WHOLE_LIMIT)
        if large.any():
            raise EngineError(
                f"{self._reference}: output {field.name!r} is a {field.kind} of float32, which "
                f"holds whole numbers up to {_WHOLE_LIMIT} exactly, and the model gave "
                f"{column[large][0]}; give larger ones as outputs of one number each"
            )


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]


def repair_row(outputs: dict[str, Any], fields: Sequence[Field], row: Row) -> None:
    """Put what policies made of values that broke a rule in their place; vectors have no repair."""
    for position, field in enumerate(fields):
        if row.rules[position] and not field.kind.is_vector:
            outputs[field.name] = _value(field, row.values[position].item())


def repair_columns(
    outputs: dict[str, NDArray[Any]], fields: Sequence[Field], columns: Columns
) -> None:
    """Replace the outputs by the values that policies made of them; texts become texts again.

    Args:
        outputs: name → array of shape (rows, …), changed in place.
        fields: the outputs' fields, in the order of `columns`.
        columns: the checked outputs.
    """
    for position, field in enumerate(fields):
        column = columns.array(position)
        outputs[field.name] = _texts(field, column.tolist()) if field.kind.is_text else column


def _texts(field: Field, codes: Sequence[float]) -> NDArray[Any]:
    allowed = field.allowed or ()
    known = range(len(allowed))
    return np.array([allowed[int(code)] if code in known else None for code in codes], dtype=object)


def _value(field: Field, number: float) -> Any:
    """Return what a number of a row means for a caller."""
    if field.kind.is_text:
        return _texts(field, [number])[0]
    if number != number:
        return None
    if field.kind is Kind.BOOL:
        return bool(number)
    return int(number) if field.kind.is_integer else number
