"""The contract in plain Python: the oracle of the compiled one, and a peer in benchmarks.

It shares only the descriptions of fields and rules with `gnomon.core`.
"""

import math
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gnomon.bench.core.condition_oracle import condition
from gnomon.core.fields import Field, Kind, Policy, Rule

__all__ = ["Finding", "naive_row"]

OK, MISSING, INVALID, UNSEEN = range(4)
# Row's number, status; the broken rule or None.
CheckedValue = tuple[float, int, str | None]
# Field or None, rule, severity.
Finding = tuple[str | None, str, str]


def naive_row(
    fields: Sequence[Field], rules: Sequence[Rule], mapping: Mapping[Any, Any]
) -> tuple[list[float], list[int], list[Finding]]:
    """Check one row: its numbers, statuses, and findings in the contract's order."""
    values: list[float] = []
    statuses: list[int] = []
    findings: list[Finding] = []
    for field in fields:
        value, status, rule = _check_value(field, mapping)
        if rule is not None:
            policy = field.policy
            if policy is Policy.CLIP and rule not in ("minimum", "maximum"):
                policy = Policy.REJECT
            if policy is Policy.FLAG and rule == "overflow" and field.kind.is_integer:
                policy = Policy.REJECT
            value = _repaired(field, value, rule, policy)
            findings.append((field.name, rule, policy.value))
        values.append(value)
        statuses.append(status)
    known = _operands(fields, values)
    for rule_ in rules:
        if condition(rule_.expression, known) is False:
            findings.append((None, rule_.name, rule_.policy.value))
    names = {field.name for field in fields}
    strange = [key for key in mapping if key not in names]
    findings += [(str(key), "unknown_field", "reject") for key in strange]
    return values, statuses, findings


def _check_value(field: Field, mapping: Mapping[Any, Any]) -> CheckedValue:
    if field.name not in mapping:
        return math.nan, MISSING, "required" if field.required else None
    value = _plain(mapping[field.name])
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return math.nan, MISSING, None if field.nullable else "null"
    if field.kind.is_vector:
        return math.nan, *_check_vector(field, value)
    if field.kind is Kind.BOOL:
        if isinstance(value, bool):
            return float(value), OK, None
        return math.nan, INVALID, "type"
    if field.kind.is_text:
        return _check_text(field, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan, INVALID, "type"
    number, rule = _check_number(field, value)
    return number, INVALID if rule else OK, rule


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.timedelta64):
        return object()
    if isinstance(value, np.bool_ | np.integer | np.str_):
        return value.item()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            # Of no kind at all.
            return object()
    return value


def _check_text(field: Field, value: Any) -> CheckedValue:
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        return math.nan, INVALID, "type"
    if field.allowed is not None:
        if value in field.allowed:
            return float(field.allowed.index(value)), OK, None
        return -2.0, UNSEEN, "allowed"
    length, rule = len(value), None
    if field.minimum_length is not None and length < field.minimum_length:
        rule = "minimum_length"
    elif field.maximum_length is not None and length > field.maximum_length:
        rule = "maximum_length"
    elif field.pattern is not None and not re.fullmatch(field.pattern, value):
        rule = "pattern"
    return float(length), INVALID if rule else OK, rule


def _single(value: float) -> float:
    """Round to float32; infinite if it does not fit."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _check_number(field: Field, value: int | float) -> tuple[float, str | None]:
    number = _float(value)
    if isinstance(value, float) and math.isinf(value):
        if field.finite or field.kind.is_integer:
            return number, "finite"
    elif math.isinf(number):
        return number, "overflow"
    if field.kind is Kind.FLOAT32:
        if math.isfinite(number) and math.isinf(_single(number)):
            return _single(number), "overflow"
        number = _single(number)
    whole = field.integer or field.kind.is_integer
    if whole and math.isfinite(number) and isinstance(value, float) and number != int(number):
        return number, "integer"
    exact = int(value) if field.kind.is_integer else number
    if field.kind.is_integer:
        # Whole numbers have one zero only.
        number += 0.0
        low, high = field.kind.integer_range
        if not low <= exact <= high:
            return number, "overflow"
    return number, _check_bounds(field, exact)


def _check_bounds(field: Field, value: float) -> str | None:
    low, high = field.minimum, field.maximum
    if field.kind is Kind.FLOAT32 or field.kind.is_vector:
        low = None if low is None else _single(low)
        high = None if high is None else _single(high)
    if low is not None and (value < low or (value == low and field.minimum_open)):
        return "minimum"
    if high is not None and (value > high or (value == high and field.maximum_open)):
        return "maximum"
    if field.allowed is not None:
        single = field.kind is Kind.FLOAT32
        allowed = [_single(float(item)) if single else item for item in field.allowed]
        return None if value in allowed else "allowed"
    return None


def _check_vector(field: Field, value: Any) -> tuple[int, str | None]:
    if not isinstance(value, list | tuple | np.ndarray):
        return INVALID, "type"
    try:
        array = np.asarray(value)
    except ValueError:
        return INVALID, "shape"
    if array.dtype.kind not in "iuf":
        return INVALID, "type"
    if array.shape != field.shape:
        return INVALID, "shape"
    elements = [float(element) for element in array.reshape(-1)]
    if any(math.isfinite(element) and math.isinf(_single(element)) for element in elements):
        return INVALID, "overflow"
    for element in elements:
        if math.isnan(element):
            if not field.nullable:
                return MISSING, "null"
        elif math.isinf(element) and field.finite:
            return INVALID, "finite"
        else:
            rule = _check_bounds(field, _single(element))
            if rule:
                return INVALID, rule
    return OK, None


def _repaired(field: Field, value: float, rule: str, policy: Policy) -> float:
    if policy is Policy.IMPUTE:
        if isinstance(field.impute, str):
            allowed = field.allowed
            return float(len(field.impute) if allowed is None else allowed.index(field.impute))
        impute = float(field.impute)  # type: ignore[arg-type]
        return _single(impute) if field.kind is Kind.FLOAT32 else impute
    if policy is Policy.CLIP:
        return _edge(field, rule)
    return value


def _edge(field: Field, rule: str) -> float:
    bound, is_open, towards = (
        (field.minimum, field.minimum_open, math.inf)
        if rule == "minimum"
        else (field.maximum, field.maximum_open, -math.inf)
    )
    assert bound is not None  # noqa: S101
    if field.kind.is_integer:
        whole = math.ceil(bound) if towards > 0 else math.floor(bound)
        return float(whole + (is_open and whole == bound) * (1 if towards > 0 else -1))
    if field.kind is Kind.FLOAT32:
        single = np.float32(bound)
        edge = float(np.nextafter(single, np.float32(towards)) if is_open else single)
    else:
        edge = math.nextafter(bound, towards) if is_open else float(bound)
    if field.integer:
        return float(math.ceil(edge) if towards > 0 else math.floor(edge))
    return edge


class _UnknownCategory:
    """A category that is not known equals nothing, not even itself."""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0


def _operands(fields: Sequence[Field], values: Sequence[float]) -> dict[str, Any]:
    """Return what conditions see: None for missing, text for a category, bool for a bool."""
    known: dict[str, Any] = {}
    for field, value in zip(fields, values, strict=True):
        if math.isnan(value) or field.kind.is_vector:
            known[field.name] = None
        elif field.kind is Kind.BOOL:
            known[field.name] = bool(value)
        elif field.kind.is_text and field.allowed is not None:
            known[field.name] = field.allowed[int(value)] if value >= 0 else _UnknownCategory()
        else:
            known[field.name] = value
    return known
