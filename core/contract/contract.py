"""The contract: a model's hard rules for its inputs or outputs, compiled."""

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract.blocks import clean_columns
from gnomon.core.contract.columns import CheckedColumn, check_column, count_rows
from gnomon.core.contract.layout import SEVERITIES, layout_of
from gnomon.core.contract.report import column_violations, row_violations
from gnomon.core.contract.row_checker import RowChecker
from gnomon.core.contract.violations import FIELD_RULES, Violations
from gnomon.core.expression import Expression, ExpressionError
from gnomon.core.fields import ContractError, Field, Policy, Rule
from gnomon.core.row import Columns, Row

__all__ = ["Contract"]

# A condition's code must fit into a byte beside the fields' rules.
MAXIMUM_RULES = 200


class Contract(RowChecker):
    """Fields and the conditions over several of them, for inputs and outputs alike.

    `check_row(mapping, row)` takes one mapping of Python values and fills a reusable `Row`;
    `check_columns(mapping)` takes arrays or lists. Both answer with `None` for the violations
    when all is well, agree in what they find, and apply each field's policy to what flows on.
    `unknown` says what is done about keys that are no field: reject or flag.

    A field is judged by the first rule that it breaks, in the order of `rule_names`. A text,
    a bool and a number are never taken for each other; a whole float is a whole number. A
    condition that reads a missing value passes unless it asks `is missing`: see
    `gnomon.core.expression`. Conditions see what flows on, repaired values included.

    Raises `ContractError` for names that occur twice and for wrong conditions.

    >>> from gnomon.core.fields import Field, Kind
    >>> contract = Contract([Field(name="distance", kind=Kind.FLOAT64, minimum=0)])
    >>> violations = contract.check_row({"distance": -1.0}, contract.new_row())
    >>> print(violations.describe()[0])
    row 0: field 'distance': -1.0 breaks 'minimum'; right would be >= 0
    """

    def __new__(
        cls, fields: Sequence[Field], rules: Sequence[Rule] = (), unknown: Policy = Policy.REJECT
    ) -> Self:
        """Compile; the arguments are those of the class."""
        names = [field.name for field in fields]
        _check_unique("field", names)
        _check_unique("rule", [rule.name for rule in rules])
        if len(rules) > MAXIMUM_RULES:
            raise ContractError(f"{len(rules)} rules are more than {MAXIMUM_RULES}")
        layouts = [{**layout_of(field), "name": sys.intern(field.name)} for field in fields]
        conditions = [
            (_expression(rule, fields).compile(), SEVERITIES[rule.policy]) for rule in rules
        ]
        patterns = [
            (index, re.compile(field.pattern))
            for index, field in enumerate(fields)
            if field.pattern is not None
        ]
        return super().__new__(cls, layouts, conditions, patterns)

    def __init__(
        self, fields: Sequence[Field], rules: Sequence[Rule] = (), unknown: Policy = Policy.REJECT
    ) -> None:
        if unknown not in (Policy.REJECT, Policy.FLAG):
            raise ContractError(f"policy {unknown!r} for unknown fields; use 'reject' or 'flag'")
        self.fields = tuple(fields)
        self.rules = tuple(rules)
        self.unknown = Policy(unknown)
        self.names = tuple(field.name for field in fields)
        self.rule_names = FIELD_RULES + tuple(rule.name for rule in rules)
        self.positions = {name: index for index, name in enumerate(self.names)}
        self._codes = frozenset(index for index, field in enumerate(fields) if field.kind.is_text)
        self._expressions = tuple(_expression(rule, self.fields) for rule in rules)
        self._programs = tuple(expression.compile() for expression in self._expressions)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.fields, self.rules, self.unknown)

    def field_index(self, name: str) -> int:
        """Return the position of a field; raises `KeyError` if there is none of this name."""
        return self.positions[name]

    def operands(self, rule: int) -> tuple[str, ...]:
        """Return the names of the fields that a rule reads, by the rule's position."""
        return self._expressions[rule].operands

    @property
    def layout_digest(self) -> str:
        """SHA-256 over what the order and meaning of numbers in a row depend on.

        That is names, kinds, allowed values, shapes, and the names of rules; not bounds, so that
        windows stay mergeable when a bound is moved.
        """
        layout = {
            "fields": [
                [field.name, field.kind.value, field.allowed, field.shape] for field in self.fields
            ],
            "rules": self.rule_names,
        }
        text = json.dumps(layout, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the contract in plain JSON types."""
        return {
            "fields": [field.to_dict() for field in self.fields],
            "rules": [rule.to_dict() for rule in self.rules],
            "unknown": self.unknown.value,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build from `to_dict`'s form; a key that is not known is refused by its name."""
        extra = sorted(set(data) - {"fields", "rules", "unknown"})
        if extra or "fields" not in data:
            wrong = f"unknown key {extra[0]!r}" if extra else "key 'fields' is missing"
            raise ContractError(f"contract: {wrong}; there are fields, rules, unknown")
        fields = [Field.from_dict(field) for field in data["fields"]]
        rules = [Rule.from_dict(rule) for rule in data.get("rules", ())]
        return cls(fields, rules, Policy(data.get("unknown", Policy.REJECT)))

    def check_columns(self, mapping: Mapping[str, Any]) -> tuple[Columns, Violations | None]:
        """Check columns of one length: arrays, or lists of what `check_row` takes.

        Arrays of a field's own dtype flow on without a copy, unless a policy repairs them. Raises
        `ContractError` if lengths differ.
        """
        rows = count_rows(self, mapping)
        arrays = clean_columns(self, self.names, mapping)
        statuses: list[NDArray[np.uint8] | None] = [None] * len(arrays)
        looked_at: dict[int, CheckedColumn] = {}
        for index, array in enumerate(arrays):
            if array is None:
                column = check_column(self, index, mapping.get(self.names[index]), rows)
                looked_at[index] = column
                arrays[index], statuses[index] = column.array, column.status
        columns = Columns(cast("list[NDArray[Any]]", arrays), statuses, self._codes)
        answers = [program.evaluate_columns(columns) for program in self._programs]
        return columns, column_violations(self, looked_at, answers, mapping, rows)

    def violations_of(self, row: Row, mapping: Mapping[str, Any]) -> Violations:
        """Return what a checked row broke; `describe` finds the values in `mapping`."""
        return row_violations(self, row, mapping)


def _check_unique(what: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ContractError(f"{what} {name!r} is there twice; names must differ")
        seen.add(name)


def _expression(rule: Rule, fields: Sequence[Field]) -> Expression:
    try:
        return Expression(rule.expression, tuple(fields))
    except ContractError as error:
        raise ExpressionError(f"rule {rule.name!r}: {error}") from None
