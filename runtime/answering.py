"""How outputs cross between engine, contract and caller."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.fields import Field
from gnomon.core.row import Columns, Row
from gnomon.core.violations import Violation, Violations
from gnomon.runtime.errors import EngineError, InvalidInput, InvalidOutput

_DETAILS_LIMIT = 100


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
        return {
            field.name: self._value(field, self._column(field, np.asarray(answer), 1))
            for field, answer in zip(self._fields, answers, strict=True)
        }

    def read_columns(self, answers: Sequence[NDArray[Any]], rows: int) -> dict[str, NDArray[Any]]:
        """Return the outputs of many rows, one array each."""
        return {
            field.name: self._texts(field, self._column(field, answer, rows))
            for field, answer in zip(self._fields, answers, strict=True)
        }

    def _column(self, field: Field, array: NDArray[Any], rows: int) -> NDArray[Any]:
        shape = (rows, *field.shape)
        if array.size != rows * field.size:
            raise EngineError(
                f"{self._reference}: output {field.name!r} has shape {array.shape}, "
                f"expected {shape} for {rows} rows"
            )
        return array.reshape(shape)

    def _texts(self, field: Field, column: NDArray[Any]) -> NDArray[Any]:
        if not field.kind.is_text:
            return column if field.kind.is_vector else column.astype(field.kind.value, copy=False)
        allowed = field.allowed or ()
        texts = [allowed[code] if 0 <= code < len(allowed) else None for code in column.tolist()]
        return np.array(texts, dtype=object)

    def _value(self, field: Field, column: NDArray[Any]) -> Any:
        if field.kind.is_vector:
            return column[0]
        value = self._texts(field, column)[0]
        return value if field.kind.is_text else value.item()


def repair_row(outputs: dict[str, Any], fields: Sequence[Field], row: Row) -> None:
    """Put what a policy made of numbers that broke a rule in their place."""
    for position, field in enumerate(fields):
        if row.rules[position]:
            outputs[field.name] = plain_value(field, row.values[position].item())


def repair_columns(
    outputs: dict[str, NDArray[Any]], fields: Sequence[Field], columns: Columns
) -> None:
    """Put what policies made of columns in their place, texts as texts."""
    for position, field in enumerate(fields):
        column = columns.array(position)
        if field.kind.is_text:
            values = [plain_value(field, float(code)) for code in column]
            column = np.array(values, dtype=object)
        outputs[field.name] = column


def plain_value(field: Field, number: float) -> Any:
    """Return what a number of a row means: a text for a code, a whole number for an integer."""
    if field.kind.is_text and field.allowed:
        return field.allowed[int(number)] if 0 <= number < len(field.allowed) else None
    return int(number) if field.kind.is_integer and number == number else number


def refusal(reference: str, violations: Violations) -> InvalidInput:
    """Return the error that tells a caller what was wrong with the inputs."""
    message, details = _explained(f"{reference} refused the input", violations)
    return InvalidInput(message, details=details)


def bad_output(reference: str, violations: Violations) -> InvalidOutput:
    """Return the error that tells a caller what was wrong with the model's answer."""
    message, details = _explained(
        f"{reference} gave an answer that breaks its contract", violations
    )
    return InvalidOutput(message, details=details)


def _explained(what: str, violations: Violations) -> tuple[str, list[dict[str, Any]]]:
    described = violations.describe(_DETAILS_LIMIT)
    more = len(violations) - 1
    message = f"{what}: {described[0]}" + (f" (and {more} more)" if more else "")
    return message, [describe(one) for one in described]


def describe(violation: Violation) -> dict[str, Any]:
    """Return a violation as the plain values of an error's details."""
    return {
        "row": violation.row,
        "field": violation.field,
        "rule": violation.rule,
        "value": _shown(violation.value),
        "expected": violation.expected,
        "policy": violation.policy.value,
    }


def _shown(value: Any) -> Any:
    """Return a value that JSON can hold: numbers and texts as they are, all else as `repr`."""
    if isinstance(value, bool | int | str) or value is None:
        return value if not isinstance(value, str) else value[:200]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else repr(value)
    return repr(value)[:200]
