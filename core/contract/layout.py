"""From a `Field` to the plain numbers of its compiled form."""

import math
from typing import Any

import numpy as np

from gnomon.core.fields import ContractError, Field, Kind, Policy

__all__ = [
    "COLUMN_CODE",
    "FIELD_RULES",
    "FIRST_CONDITION",
    "SEVERITIES",
    "UNKNOWN_FIELD",
    "column_dtype",
    "layout_of",
]

VALUE_BOOL, VALUE_INTEGER, VALUE_FLOAT32, VALUE_FLOAT64 = range(4)
VALUE_CATEGORY, VALUE_TEXT, VALUE_VECTOR = range(4, 7)
COLUMN_CODE, COLUMN_VECTOR = 11, 12
COLUMN_TYPES = {kind: number for number, kind in enumerate(Kind) if number <= 10}

# By the codes of `plan.pxd`; the first is no rule, the last is not in use.
FIELD_RULES = (
    "clean",
    "unknown_field",
    "required",
    "null",
    "type",
    "shape",
    "finite",
    "integer",
    "overflow",
    "minimum",
    "maximum",
    "allowed",
    "minimum_length",
    "maximum_length",
    "pattern",
    "reserved",
)
FIRST_CONDITION = len(FIELD_RULES)
UNKNOWN_FIELD = FIELD_RULES.index("unknown_field")

# By the numbers of `plan.pxd`, ordered by severity; 0 is no violation.
SEVERITIES: dict[Policy, int] = {
    Policy.FLAG: 1,
    Policy.CLIP: 2,
    Policy.IMPUTE: 3,
    Policy.REJECT: 4,
}
UNBOUNDED_LENGTH = 2**62


def value_kind(field: Field) -> int:
    """Return which of the interpreter's value kinds a field has."""
    if field.kind.is_text:
        return VALUE_TEXT if field.allowed is None else VALUE_CATEGORY
    if field.kind.is_integer:
        return VALUE_INTEGER
    if field.kind.is_vector:
        return VALUE_VECTOR
    kinds = {Kind.BOOL: VALUE_BOOL, Kind.FLOAT32: VALUE_FLOAT32, Kind.FLOAT64: VALUE_FLOAT64}
    return kinds[field.kind]


def column_dtype(field: Field) -> np.dtype[Any]:
    """Return the dtype of a field's column: codes are int32, vectors float32."""
    if field.kind.is_text:
        return np.dtype(np.int32)
    if field.kind.is_vector:
        return np.dtype(np.float32)
    return np.dtype(field.kind.value)


def layout_of(field: Field) -> dict[str, Any]:
    """Return what `CompiledContract` takes for one field."""
    kind = value_kind(field)
    minimum, maximum = _float_bounds(field)
    lowest, highest = field.integer_bounds if field.kind.is_integer else (0, 0)
    kind_range = field.kind.integer_range if field.kind.is_integer else (0, 0)
    numeric = field.kind.is_number and field.allowed is not None
    return {
        "name": field.name,
        "kind": kind,
        "column_type": _column_type(field),
        "policy": SEVERITIES[field.policy],
        "required": field.required,
        "nullable": field.nullable,
        "finite": field.finite,
        "whole": field.integer and field.kind.is_float,
        "has_pattern": field.pattern is not None,
        "minimum": minimum,
        "maximum": maximum,
        "lowest": lowest,
        "highest": highest,
        "kind_lowest": kind_range[0],
        "kind_highest": kind_range[1],
        "minimum_length": field.minimum_length or 0,
        "maximum_length": (
            UNBOUNDED_LENGTH if field.maximum_length is None else field.maximum_length
        ),
        "impute": _impute(field),
        "size": field.size,
        "shape": field.shape,
        "texts": field.allowed if kind == VALUE_CATEGORY else (),
        "allowed": sorted(_rounded(field, value) for value in field.allowed or () if numeric),
    }


def _column_type(field: Field) -> int:
    if field.kind.is_text:
        return COLUMN_CODE
    return COLUMN_VECTOR if field.kind.is_vector else COLUMN_TYPES[field.kind]


def _single(field: Field) -> bool:
    return field.kind is Kind.FLOAT32 or field.kind.is_vector


def _rounded(field: Field, value: Any) -> float:
    return float(np.float32(value)) if _single(field) else float(value)


def _step(field: Field, value: float, towards: float) -> float:
    if _single(field):
        return float(np.nextafter(np.float32(value), np.float32(towards)))
    return math.nextafter(value, towards)


def _float_bounds(field: Field) -> tuple[float, float]:
    """Return closed bounds in the field's own precision; open ones move by one step."""
    if not (field.kind.is_float or field.kind.is_vector):
        return -math.inf, math.inf
    largest = float(np.finfo(np.float32 if _single(field) else np.float64).max)
    edge = largest if field.finite else math.inf
    low, high = -edge, edge
    if field.minimum is not None:
        low = _rounded(field, field.minimum)
        low = _step(field, low, math.inf) if field.minimum_open else low
        low = float(math.ceil(low)) if field.integer else low
    if field.maximum is not None:
        high = _rounded(field, field.maximum)
        high = _step(field, high, -math.inf) if field.maximum_open else high
        high = float(math.floor(high)) if field.integer else high
    low, high = max(low, -edge), min(high, edge)
    if low > high or (math.isinf(low) and low > 0) or (math.isinf(high) and high < 0):
        raise ContractError(
            f"field {field.name!r}: no {field.kind.value} is between minimum "
            f"{field.minimum} and maximum {field.maximum}"
        )
    return low, high


def _impute(field: Field) -> float:
    if field.impute is None:
        return math.nan
    if isinstance(field.impute, str):
        if field.allowed is None:
            return float(len(field.impute))
        return float(field.allowed.index(field.impute))
    return _rounded(field, field.impute)
