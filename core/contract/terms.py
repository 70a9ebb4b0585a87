"""A contract's fields and rules, compiled: what its checks and its reports read."""

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self

from gnomon.core.contract.layout import FIELD_RULES, SEVERITIES, layout_of
from gnomon.core.contract.row_checker import RowChecker
from gnomon.core.expression import Expression, ExpressionError
from gnomon.core.fields import ContractError, Field, Policy, Rule

__all__ = ["ContractTerms"]

# A condition's code must fit into a byte beside the fields' rules.
MAXIMUM_RULES = 200


class ContractTerms(RowChecker):
    """Names, fields, rules and their compiled form; `Contract` adds the checks.

    Raises:
        ContractError: names occur twice, or conditions are wrong.
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
        """Return the position of a field; raises `KeyError` if there is no field of this name."""
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
