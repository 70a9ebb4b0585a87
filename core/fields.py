"""What one column is and what it must keep to: `Field`, `Rule`, `Kind`, `Policy`."""

import math
import re
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Self

__all__ = ["ContractError", "Field", "Kind", "Policy", "Rule"]

NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,127}")
# Above it neighbouring whole numbers share one float64.
LARGEST_EXACT_INTEGER = 2**53 - 1

Number = float | int
Scalar = float | int | str | bool


class ContractError(ValueError):
    """A contract, field, rule or packing that contradicts itself; says where and what would do."""


class Kind(StrEnum):
    """What a field holds. A category is a text out of a known list; a vector has a fixed shape."""

    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"
    CATEGORY = "category"
    VECTOR = "vector"
    TENSOR = "tensor"

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers of a fixed width."""
        return self.value.startswith(("int", "uint"))

    @property
    def is_float(self) -> bool:
        """Whether values are floating-point numbers."""
        return self.value.startswith("float")

    @property
    def is_number(self) -> bool:
        """Whether values can be ordered and counted with; a bool cannot."""
        return self.is_integer or self.is_float

    @property
    def is_text(self) -> bool:
        """Whether values come in as text."""
        return self in (Kind.STRING, Kind.CATEGORY)

    @property
    def is_vector(self) -> bool:
        """Whether a value is many numbers of a fixed shape (float32)."""
        return self in (Kind.VECTOR, Kind.TENSOR)

    @property
    def integer_range(self) -> tuple[int, int]:
        """The least and the greatest value of an integer kind."""
        bits = int(self.value.lstrip("uint"))
        if self.value.startswith("u"):
            return 0, 2**bits - 1
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


class Policy(StrEnum):
    """What is done about a violation: refuse the row, repair the value, or only say so."""

    REJECT = "reject"
    CLIP = "clip"
    IMPUTE = "impute"
    FLAG = "flag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column of inputs or outputs and its hard rules.

    `required` is about the key, `nullable` about the value: `None` and NaN are missing values.
    `missing_allowance` is the share of missing values that a window may hold. Bounds are closed
    unless `minimum_open` or `maximum_open`; a float32 field is compared in float32. `allowed` of
    a text field gives its codes, in order. Lengths count characters; `pattern` must match the
    whole text. `integer` asks a float field for whole numbers, `finite` refuses infinities.
    `shape` belongs to vectors and tensors, whose elements are float32 and all keep the bounds.
    `impute` is what `Policy.IMPUTE` writes. `monitored=False` is for calendar fields that drive
    the season, so that their change is no drift. The values of a `private` field are never
    shown. `unit` and `description` are for people.

    Raises `ContractError` where these contradict each other.

    >>> Field(name="distance", kind=Kind.FLOAT64, minimum=0, unit="miles").minimum
    0
    """

    name: str
    kind: Kind
    required: bool = True
    nullable: bool = False
    missing_allowance: float = 1.0
    minimum: Number | None = None
    maximum: Number | None = None
    minimum_open: bool = False
    maximum_open: bool = False
    allowed: tuple[Scalar, ...] | None = None
    minimum_length: int | None = None
    maximum_length: int | None = None
    pattern: str | None = None
    integer: bool = False
    finite: bool = True
    shape: tuple[int, ...] = ()
    policy: Policy = Policy.REJECT
    impute: Scalar | None = None
    monitored: bool = True
    private: bool = False
    unit: str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        _check_name("field", self.name)
        object.__setattr__(self, "kind", _member(Kind, self.kind, self.name, "kind"))
        object.__setattr__(self, "policy", _member(Policy, self.policy, self.name, "policy"))
        for name in ("allowed", "shape"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        _check_types(self)
        _check_bounds(self)
        _check_text(self)
        _check_allowed(self)
        _check_shape(self)
        _check_policy(self)

    @property
    def size(self) -> int:
        """How many numbers one value has: 1, or the product of `shape`."""
        return math.prod(self.shape)

    @property
    def integer_bounds(self) -> tuple[int, int]:
        """The least and the greatest number that an integer kind can hold within the bounds."""
        least, greatest = self.kind.integer_range
        if self.minimum is not None:
            bound = math.ceil(self.minimum)
            least = max(least, bound + (self.minimum_open and bound == self.minimum))
        if self.maximum is not None:
            bound = math.floor(self.maximum)
            greatest = min(greatest, bound - (self.maximum_open and bound == self.maximum))
        return least, greatest

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults, in plain JSON types."""
        return _plain(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build from `to_dict`'s form; a key that is not known is refused by its name."""
        return cls(**_known(cls, data, f"field {data.get('name')!r}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition over several fields, such as `arrival > departure and distance > 0`.

    The language is that of `gnomon.core.expression`. `policy` is reject or flag: an expression
    does not say which of its fields to repair. `message` tells people what would be right.
    """

    name: str
    expression: str
    policy: Policy = Policy.REJECT
    message: str = ""

    def __post_init__(self) -> None:
        _check_name("rule", self.name)
        object.__setattr__(self, "policy", _member(Policy, self.policy, self.name, "policy"))
        _require(isinstance(self.expression, str), self.name, "expression must be a text")
        _require(isinstance(self.message, str), self.name, "message must be a text")
        if self.policy not in (Policy.REJECT, Policy.FLAG):
            raise ContractError(
                f"rule {self.name!r}: policy {self.policy.value!r} cannot repair a condition over "
                "several fields; use 'reject' or 'flag'"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults, in plain JSON types."""
        return _plain(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build from `to_dict`'s form; a key that is not known is refused by its name."""
        return cls(**_known(cls, data, f"rule {data.get('name')!r}"))


def _plain(record: Field | Rule) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for item in fields(record):
        value = getattr(record, item.name)
        if value == item.default and type(value) is type(item.default):
            continue
        if isinstance(value, StrEnum):
            value = value.value
        result[item.name] = list(value) if isinstance(value, tuple) else value
    return result


def _known(cls: type[Field] | type[Rule], data: dict[str, Any], where: str) -> dict[str, Any]:
    names = [item.name for item in fields(cls)]
    unknown = sorted(set(data) - set(names))
    if unknown:
        raise ContractError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(names)}")
    needed = [name for name in names[:2] if name not in data]
    if needed:
        raise ContractError(f"{where}: key {needed[0]!r} is missing")
    return dict(data)


def _require(condition: bool, name: str, right: str) -> None:
    if not condition:
        raise ContractError(f"field {name!r}: {right}")


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        raise ContractError(
            f"{what} {name!r}: a name is 1 to 128 letters, digits, '_', '.' or '-', "
            "and starts with a letter or '_'"
        )


def _member(enum: type[StrEnum], value: str, name: str, what: str) -> StrEnum:
    try:
        return enum(value)
    except ValueError:
        known = ", ".join(member.value for member in enum)
        raise ContractError(f"{name!r}: {what} {value!r} is unknown; use one of {known}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_types(field: Field) -> None:
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
        _require(isinstance(getattr(field, name), bool), field.name, f"{name} is true or false")
    _require(isinstance(field.description, str), field.name, "description must be a text")
    _require(
        field.unit is None or isinstance(field.unit, str), field.name, "unit must be a text or null"
    )
    allowance = field.missing_allowance
    _require(
        _is_number(allowance) and 0 <= allowance <= 1,
        field.name,
        f"missing_allowance {allowance!r} must be a share between 0 and 1",
    )


def _check_bounds(field: Field) -> None:
    kind = field.kind
    for name in ("minimum", "maximum"):
        bound = getattr(field, name)
        if bound is None:
            continue
        _require(
            kind.is_number or kind.is_vector,
            field.name,
            f"{name} needs a numeric kind, not {kind.value}",
        )
        _require(
            _is_number(bound) and math.isfinite(bound) and abs(bound) < 1e300,
            field.name,
            f"{name} {bound!r} must be a finite number",
        )
    low, high = field.minimum, field.maximum
    if low is not None and high is not None:
        touching = low == high and not (field.minimum_open or field.maximum_open)
        _require(low < high or touching, field.name, f"minimum {low} must lie below maximum {high}")
    if kind.is_integer:
        least, greatest = field.integer_bounds
        _require(
            least <= greatest and least < 2**63,
            field.name,
            f"no {kind.value} lies between minimum {low} and maximum {high}",
        )
    _require(
        not field.integer or kind.is_number,
        field.name,
        f"integer needs a numeric kind, not {kind.value}",
    )


def _check_text(field: Field) -> None:
    for name in ("minimum_length", "maximum_length"):
        length = getattr(field, name)
        if length is None:
            continue
        _require(
            field.kind is Kind.STRING, field.name, f"{name} needs kind string, not {field.kind}"
        )
        _require(
            isinstance(length, int) and not isinstance(length, bool) and 0 <= length < 2**31,
            field.name,
            f"{name} {length!r} must be a whole number of characters, 0 or more",
        )
    if field.minimum_length is not None and field.maximum_length is not None:
        _require(
            field.minimum_length <= field.maximum_length,
            field.name,
            f"minimum_length {field.minimum_length} must not exceed maximum_length "
            f"{field.maximum_length}",
        )
    if field.pattern is not None:
        _require(
            field.kind is Kind.STRING, field.name, f"pattern needs kind string, not {field.kind}"
        )
        _require(isinstance(field.pattern, str), field.name, "pattern must be a text")
        try:
            re.compile(field.pattern)
        except re.error as error:
            raise ContractError(
                f"field {field.name!r}: pattern {field.pattern!r} does not compile: {error}"
            ) from None


def _check_allowed(field: Field) -> None:
    allowed, kind = field.allowed, field.kind
    _require(
        kind is not Kind.CATEGORY or allowed is not None,
        field.name,
        "a category needs its allowed values, in the order of their codes",
    )
    if allowed is None:
        return
    _require(
        isinstance(allowed, tuple) and len(allowed) > 0 and len(set(allowed)) == len(allowed),
        field.name,
        "allowed must be a list of different values, at least one",
    )
    _require(kind.is_text or kind.is_number, field.name, f"allowed is not for kind {kind.value}")
    if kind.is_text:
        _require(
            field.pattern is None and field.minimum_length is None and field.maximum_length is None,
            field.name,
            "allowed already fixes every text; drop pattern, minimum_length and maximum_length",
        )
    for value in allowed:
        _require(_fits(field, value), field.name, f"allowed value {value!r} is no {kind.value}")


def _fits(field: Field, value: Any) -> bool:
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
        whole = value == int(value) and abs(value) <= LARGEST_EXACT_INTEGER
        return whole and bool(low <= value <= high)
    return bool(abs(value) < (3.4e38 if kind is Kind.FLOAT32 else 1e300))


def _is_unicode(text: str) -> bool:
    """Whether a text can be encoded: half of a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _check_shape(field: Field) -> None:
    if field.kind.is_vector:
        good = bool(field.shape) and all(
            isinstance(size, int) and not isinstance(size, bool) and size > 0
            for size in field.shape
        )
        _require(good, field.name, f"shape {field.shape!r} must list sizes of 1 or more")
        _require(math.prod(field.shape) <= 2**28, field.name, "shape has more than 2**28 elements")
        _require(
            field.kind is Kind.TENSOR or len(field.shape) == 1,
            field.name,
            f"a vector has one dimension, not {len(field.shape)}; use kind tensor",
        )
    else:
        _require(field.shape == (), field.name, "shape is only for kinds vector and tensor")


def _check_policy(field: Field) -> None:
    if field.policy is Policy.CLIP:
        _require(
            field.minimum is not None or field.maximum is not None,
            field.name,
            "policy clip needs a minimum or a maximum to clip to",
        )
        _require(
            field.allowed is None and not field.kind.is_vector,
            field.name,
            "policy clip is for single numbers without a list of allowed values",
        )
    if field.policy is Policy.IMPUTE:
        _require(field.impute is not None, field.name, "policy impute needs an impute value")
    elif field.impute is not None:
        _require(False, field.name, "an impute value needs policy 'impute'")
    if field.impute is None:
        return
    _require(not field.kind.is_vector, field.name, "a vector cannot be imputed; use reject or flag")
    _require(
        _fits(field, field.impute),
        field.name,
        f"impute value {field.impute!r} is no {field.kind.value}",
    )
    _require(
        _keeps(field), field.name, f"impute value {field.impute!r} breaks the field's own rules"
    )


def _keeps(field: Field) -> bool:
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
