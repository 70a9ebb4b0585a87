"""One column and its rules: `Field`, `Rule`, `Kind`, `Policy`."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Self

from gnomon.core.field_checks import (
    check_allowed,
    check_bounds,
    check_name,
    check_policy,
    check_shape,
    check_text,
    check_types,
    member,
    require,
)
from gnomon.core.field_settings import FieldSettings
from gnomon.core.kinds import ContractError, Kind, Policy

__all__ = ["ContractError", "Field", "Kind", "Policy", "Rule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(FieldSettings):
    """One column of inputs or outputs and its hard rules.

    `required` is about the key, `nullable` about the value: `None` and NaN are missing values.
    `missing_allowance` is the share of missing values that a window may hold. Bounds are closed
    unless `minimum_open` or `maximum_open`; a float32 field is compared in float32. `allowed` of
    a text field gives its codes, in order. Lengths count characters; `pattern` must match the
    whole text. `integer` restricts a float field to whole numbers, `finite` refuses infinities.
    `shape` belongs to vectors and tensors, whose elements are float32 and all keep the bounds.
    `impute` is what `Policy.IMPUTE` writes. `monitored=False` is for calendar fields that drive
    the season, so that their change is no drift. The values of a `private` field are never
    shown. `unit` and `description` are for people.

    Raises `ContractError` if these contradict each other.

    >>> Field(name="distance", kind=Kind.FLOAT64, minimum=0, unit="miles").minimum
    0
    """

    def __post_init__(self) -> None:
        check_name("field", self.name)
        object.__setattr__(self, "kind", member(Kind, self.kind, self.name, "kind"))
        object.__setattr__(self, "policy", member(Policy, self.policy, self.name, "policy"))
        for name in ("allowed", "shape"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        check_types(self)
        check_bounds(self)
        check_text(self)
        check_allowed(self)
        check_shape(self)
        check_policy(self)

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
    does not say which of its fields to repair. `message` says what would be right.
    """

    name: str
    expression: str
    policy: Policy = Policy.REJECT
    message: str = ""

    def __post_init__(self) -> None:
        check_name("rule", self.name)
        object.__setattr__(self, "policy", member(Policy, self.policy, self.name, "policy"))
        require(isinstance(self.expression, str), self.name, "expression must be a text")
        require(isinstance(self.message, str), self.name, "message must be a text")
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
