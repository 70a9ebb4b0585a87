"""The violations of a contract, as typed arrays and as sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract.layout import FIRST_CONDITION, SEVERITIES, UNKNOWN_FIELD
from gnomon.core.contract.terms import ContractTerms
from gnomon.core.fields import Field, Policy
from gnomon.core.kinds import LARGEST_WHOLE

__all__ = ["PRIVATE", "Violation", "Violations", "expectation"]

POLICIES = {number: policy for policy, number in SEVERITIES.items()}
PRIVATE = "(private)"
LISTED_VALUES = 10


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: row, field, value, what would be right, and the policy applied.

    `field` is the unknown key for "unknown_field", and None for a condition over several fields,
    whose `value` maps the names of its fields to theirs.
    """

    row: int
    field: str | None
    rule: str
    value: Any
    expected: str
    policy: Policy

    def __str__(self) -> str:
        where = f"row {self.row}: " + (f"field {self.field!r}: " if self.field else "")
        return f"{where}{self.value!r} breaks {self.rule!r}; right would be {self.expected}"


@dataclass(frozen=True, slots=True, eq=False)
class Violations:
    """All rules that a row or columns broke, one element each in four arrays of one length.

    `rows` (int64), `fields` (int32, -1 for an unknown field or a condition over several fields),
    `rules` (int16, positions in `contract.rule_names`), `severities` (uint8: 1 flag, 2 clip,
    3 impute, 4 reject). A field counts once a row, with the first rule that it broke. Values for
    `describe` are looked up in the caller's own data, so describe before that changes.
    """

    contract: ContractTerms
    rows: NDArray[np.int64]
    fields: NDArray[np.int32]
    rules: NDArray[np.int16]
    severities: NDArray[np.uint8]
    source: Mapping[str, Any]
    # Whether `source` holds single values, not columns.
    single: bool
    # The keys of unknown fields, in the order of their violations.
    unknown: Sequence[Any] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rejected(self) -> bool:
        """Whether any row is refused."""
        return bool((self.severities == SEVERITIES[Policy.REJECT]).any())

    def rejected_rows(self, count: int) -> NDArray[np.bool_]:
        """Return which rows are refused, bool of shape `(count,)`."""
        mask = np.zeros(count, dtype=np.bool_)
        mask[self.rows[self.severities == SEVERITIES[Policy.REJECT]]] = True
        return mask

    @property
    def rule_counts(self) -> NDArray[np.int64]:
        """How often each rule was broken, in the order of `contract.rule_names`."""
        return np.bincount(self.rules, minlength=len(self.contract.rule_names)).astype(np.int64)

    @property
    def counts_by_rule(self) -> dict[str, int]:
        """How often each rule was broken, for those that were."""
        counts = zip(self.contract.rule_names, self.rule_counts.tolist(), strict=True)
        return {name: count for name, count in counts if count}

    def describe(self, limit: int = 100) -> list[Violation]:
        """Return the first `limit` violations for people; private values are masked."""
        unknown = iter(self.unknown)
        return [self._describe(index, unknown) for index in range(min(limit, len(self)))]

    def _describe(self, index: int, unknown: Any) -> Violation:
        row, position, rule = int(self.rows[index]), self.fields[index], int(self.rules[index])
        policy = POLICIES[int(self.severities[index])]
        name = self.contract.rule_names[rule]
        if rule >= FIRST_CONDITION:
            condition = self.contract.rules[rule - FIRST_CONDITION]
            read = self.contract.operands(rule - FIRST_CONDITION)
            value: Any = {operand: self._value(operand, row) for operand in read}
            expected = condition.message or condition.expression
            return Violation(row, None, name, value, expected, policy)
        if rule == UNKNOWN_FIELD:
            # What is not in the contract may well be private.
            expected = f"one of {_listed(self.contract.names)}"
            return Violation(row, str(next(unknown))[:128], name, PRIVATE, expected, policy)
        field = self.contract.fields[position]
        value = self._value(field.name, row)
        return Violation(row, field.name, name, value, expectation(field, name), policy)

    def _value(self, name: str, row: int) -> Any:
        if name not in self.source:
            return None
        if self.contract.fields[self.contract.field_index(name)].private:
            return PRIVATE
        value = self.source[name] if self.single else self.source[name][row]
        return value.item() if isinstance(value, np.generic) else value


def expectation(field: Field, rule: str) -> str:
    """Say what would keep a rule of a field."""
    unit = f" {field.unit}" if field.unit else ""
    comparison = {
        "minimum": f"{'>' if field.minimum_open else '>='} {field.minimum}{unit}",
        "maximum": f"{'<' if field.maximum_open else '<='} {field.maximum}{unit}",
    }
    texts = {
        **comparison,
        "required": f"a value of kind {field.kind.value} under this name",
        "null": f"a value of kind {field.kind.value}, not a missing one",
        "type": f"a value of kind {field.kind.value}",
        "shape": f"{field.kind.value} of shape {field.shape}",
        "finite": "a finite number",
        "integer": "a whole number",
        "overflow": _range(field),
        "allowed": f"one of {_listed(field.allowed or ())}",
        "minimum_length": f"at least {field.minimum_length} characters",
        "maximum_length": f"at most {field.maximum_length} characters",
        "pattern": f"a text that matches {field.pattern}",
    }
    return texts[rule]


def _range(field: Field) -> str:
    if not field.kind.is_integer:
        return f"a number that {field.kind.value} can hold"
    least, greatest = field.kind.integer_range
    exactly = "float64 holds exactly" if greatest == LARGEST_WHOLE else f"{field.kind.value} holds"
    return f"a whole number that {exactly}, {least} to {greatest}"


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(repr(value) for value in values[:LISTED_VALUES])
    return shown + (
        f" and {len(values) - LISTED_VALUES} more" if len(values) > LISTED_VALUES else ""
    )
