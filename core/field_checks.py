"""Checks of the settings of a field; each refusal says what would be right."""

import math
import re
from enum import StrEnum
from typing import Any

from gnomon.core.field_settings import FieldSettings
from gnomon.core.kinds import ContractError, Kind, Policy
from gnomon.core.pattern_cost import PatternError, check_pattern

__all__ = [
    "check_allowed",
    "check_bounds",
    "check_name",
    "check_policy",
    "check_shape",
    "check_text",
    "check_types",
    "member",
    "require",
]

NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,127}")


def require(condition: bool, name: str, right: str) -> None:
    """Raise unless a condition of a field holds."""
    if not condition:
        raise ContractError(f"field {name!r}: {right}")


def check_name(what: str, name: object) -> None:
    """Refuse what is no name."""
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        shown = name[:128] if isinstance(name, str) else name
        raise ContractError(
            f"{what} {shown!r}: a name is 1 to 128 letters, digits, '_', '.' or '-', "
            "and starts with a letter or '_'"
        )


def member(enum: type[StrEnum], value: str, name: str, what: str) -> StrEnum:
    """Return the member of a closed list, or refuse and list them.

    Args:
        enum: the closed list.
        value: the text to look up.
        name: of the field, for the message.
        what: what the value is, for the message.
    """
    try:
        return enum(value)
    except ValueError:
        known = ", ".join(member.value for member in enum)
        raise ContractError(f"{name!r}: {what} {value!r} is unknown; use one of {known}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_types(field: FieldSettings) -> None:
    """Check what holds for every kind."""
    for name in (
        "required",
        "nullable",
        "minimum_open",
        "maximum_open",
        "integer",
        "finite",
        "monitored",
        "private",
    ):
        require(isinstance(getattr(field, name), bool), field.name, f"{name} is true or false")
    require(isinstance(field.description, str), field.name, "description must be a text")
    require(
        field.unit is None or isinstance(field.unit, str), field.name, "unit must be a text or null"
    )
    allowance = field.missing_allowance
    require(
        _is_number(allowance) and 0 <= allowance <= 1,
        field.name,
        f"missing_allowance {allowance!r} must be a share between 0 and 1",
    )


def check_bounds(field: FieldSettings) -> None:
    """Check minimum, maximum and wholeness."""
    kind = field.kind
    for name in ("minimum", "maximum"):
        bound = getattr(field, name)
        if bound is None:
            continue
        require(
            kind.is_number or kind.is_vector,
            field.name,
            f"{name} needs a numeric kind, not {kind.value}",
        )
        require(
            _is_number(bound) and math.isfinite(bound) and abs(bound) < 1e300,
            field.name,
            f"{name} {bound!r} must be a finite number",
        )
    low, high = field.minimum, field.maximum
    if low is not None and high is not None:
        touching = low == high and not (field.minimum_open or field.maximum_open)
        require(low < high or touching, field.name, f"minimum {low} must be below maximum {high}")
    if kind.is_integer:
        least, greatest = field.integer_bounds
        require(
            least <= greatest,
            field.name,
            f"no {kind.value} is between minimum {low} and maximum {high}; the kind takes "
            f"{kind.integer_range[0]} to {kind.integer_range[1]}",
        )
    require(
        not field.integer or kind.is_number,
        field.name,
        f"integer needs a numeric kind, not {kind.value}",
    )


def check_text(field: FieldSettings) -> None:
    """Check lengths and pattern."""
    for name in ("minimum_length", "maximum_length"):
        length = getattr(field, name)
        if length is None:
            continue
        require(
            field.kind is Kind.STRING, field.name, f"{name} needs kind string, not {field.kind}"
        )
        require(
            isinstance(length, int) and not isinstance(length, bool) and 0 <= length < 2**31,
            field.name,
            f"{name} {length!r} must be a whole number of characters, 0 or more",
        )
    if field.minimum_length is not None and field.maximum_length is not None:
        require(
            field.minimum_length <= field.maximum_length,
            field.name,
            f"minimum_length {field.minimum_length} must not exceed maximum_length "
            f"{field.maximum_length}",
        )
    if field.pattern is not None:
        require(
            field.kind is Kind.STRING, field.name, f"pattern needs kind string, not {field.kind}"
        )
        require(isinstance(field.pattern, str), field.name, "pattern must be a text")
        shown = f"field {field.name!r}: pattern {field.pattern[:80]!r}"
        try:
            check_pattern(field.pattern, field.maximum_length)
            re.compile(field.pattern)
        except PatternError as error:
            raise ContractError(f"{shown} {error}") from None
        except (re.error, OverflowError, RecursionError) as error:
            raise ContractError(f"{shown} does not compile: {error}") from None


def check_allowed(field: FieldSettings) -> None:
    """Check the list of allowed values."""
    allowed, kind = field.allowed, field.kind
    require(
        kind is not Kind.CATEGORY or allowed is not None,
        field.name,
        "a category needs its allowed values, in the order of their codes",
    )
    if allowed is None:
        return
    require(
        isinstance(allowed, tuple) and len(allowed) > 0 and len(set(allowed)) == len(allowed),
        field.name,
        "allowed must be a list of different values, at least one",
    )
    require(kind.is_text or kind.is_number, field.name, f"allowed is not for kind {kind.value}")
    if kind.is_text:
        require(
            field.pattern is None and field.minimum_length is None and field.maximum_length is None,
            field.name,
            "allowed already fixes every text; drop pattern, minimum_length and maximum_length",
        )
    for value in allowed:
        require(_fits(field, value), field.name, f"allowed value {value!r} is no {kind.value}")


def _fits(field: FieldSettings, value: Any) -> bool:
    """Whether a constant of the contract can be held by the field's kind."""
    kind = field.kind
    if kind.is_text:
        return isinstance(value, str) and _is_unicode(value)
    if kind is Kind.BOOL:
        return isinstance(value, bool)
    if not _is_number(value) or not math.isfinite(value):
        return False
    if kind.is_integer:
        low, high = kind.integer_range
        return bool(value == int(value) and low <= value <= high)
    return bool(abs(value) < (3.4e38 if kind is Kind.FLOAT32 else 1e300))


def _is_unicode(text: str) -> bool:
    """Whether a text can be encoded: half of a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def check_shape(field: FieldSettings) -> None:
    """Check the shape of vectors and tensors."""
    if field.kind.is_vector:
        good = bool(field.shape) and all(
            isinstance(size, int) and not isinstance(size, bool) and size > 0
            for size in field.shape
        )
        require(good, field.name, f"shape {field.shape!r} must list sizes of 1 or more")
        require(math.prod(field.shape) <= 2**28, field.name, "shape has more than 2**28 elements")
        require(
            field.kind is Kind.TENSOR or len(field.shape) == 1,
            field.name,
            f"a vector has one dimension, not {len(field.shape)}; use kind tensor",
        )
    else:
        require(field.shape == (), field.name, "shape is only for kinds vector and tensor")


def check_policy(field: FieldSettings) -> None:
    """Check that the policy can do its work."""
    if field.policy is Policy.CLIP:
        require(
            field.minimum is not None or field.maximum is not None,
            field.name,
            "policy clip needs a minimum or a maximum to clip to",
        )
        require(
            field.allowed is None and not field.kind.is_vector,
            field.name,
            "policy clip is for single numbers without a list of allowed values",
        )
    if field.policy is Policy.IMPUTE:
        require(field.impute is not None, field.name, "policy impute needs an impute value")
    elif field.impute is not None:
        require(False, field.name, "an impute value needs policy 'impute'")
    if field.impute is None:
        return
    require(not field.kind.is_vector, field.name, "a vector cannot be imputed; use reject or flag")
    require(
        _fits(field, field.impute),
        field.name,
        f"impute value {field.impute!r} is no {field.kind.value}",
    )
    require(
        _keeps(field), field.name, f"impute value {field.impute!r} breaks the field's own rules"
    )


def _keeps(field: FieldSettings) -> bool:
    """Whether the impute value keeps bounds, allowed values, lengths and pattern."""
    value: Any = field.impute
    if field.allowed is not None and value not in field.allowed:
        return False
    if isinstance(value, str):
        long_enough = len(value) >= (field.minimum_length or 0)
        short_enough = field.maximum_length is None or len(value) <= field.maximum_length
        matches = field.pattern is None or re.fullmatch(field.pattern, value) is not None
        return long_enough and short_enough and matches
    low, high = field.minimum, field.maximum
    above = low is None or (value > low if field.minimum_open else value >= low)
    below = high is None or (value < high if field.maximum_open else value <= high)
    return above and below and (not field.integer or value == int(value))
