"""Violations: arrays for machines, sentences for people, private values hidden."""

import numpy as np

from gnomon.core.contract import Contract
from gnomon.core.contract.layout import FIELD_RULES, FIRST_CONDITION
from gnomon.core.contract.violations import PRIVATE, expectation
from gnomon.core.fields import Field, Kind, Policy, Rule

CONTRACT = Contract(
    [
        Field(name="age", kind=Kind.INT16, minimum=0, maximum=130, private=True),
        Field(name="limit", kind=Kind.FLOAT64, minimum=0, minimum_open=True, policy=Policy.FLAG),
    ],
    [
        Rule(name="adult", expression="age >= 18", message="an age of 18 or more"),
        Rule(name="cheap", expression="limit < 1000", policy=Policy.FLAG),
    ],
)
COLUMNS = {"age": np.array([200, 17, 40, 15], dtype=np.int16), "limit": [1.0, 0.0, 5000.0, 1.0]}


def test_columns_come_ordered_by_row_with_codes_and_severities() -> None:
    _, violations = CONTRACT.check_columns(COLUMNS)
    assert violations is not None and len(violations) == 5
    assert violations.rows.tolist() == [0, 1, 1, 2, 3]
    assert violations.fields.tolist() == [0, 1, -1, -1, -1]
    names = [CONTRACT.rule_names[code] for code in violations.rules]
    assert names == ["maximum", "minimum", "adult", "cheap", "adult"]
    assert violations.severities.tolist() == [4, 1, 4, 1, 4]
    assert violations.rejected_rows(4).tolist() == [True, True, False, True]
    assert violations.counts_by_rule == {"minimum": 1, "maximum": 1, "adult": 2, "cheap": 1}
    assert violations.rule_counts.sum() == 5
    assert len(violations.rule_counts) == len(CONTRACT.rule_names)


def test_private_values_are_masked_also_in_conditions() -> None:
    _, violations = CONTRACT.check_columns(COLUMNS)
    assert violations is not None
    described = violations.describe()
    assert described[0].value == PRIVATE
    assert described[2].value == {"age": PRIVATE}
    assert described[2].expected == "an age of 18 or more"
    assert described[3].value == {"limit": 5000.0}
    assert "200" not in " ".join(str(violation) for violation in described)


def test_describe_stops_at_its_limit() -> None:
    _, violations = CONTRACT.check_columns(COLUMNS)
    assert violations is not None and len(violations.describe(limit=2)) == 2


def test_conditions_follow_the_rules_of_fields() -> None:
    assert CONTRACT.rule_names[:FIRST_CONDITION] == FIELD_RULES
    assert CONTRACT.rule_names[FIRST_CONDITION:] == ("adult", "cheap")


def test_every_rule_of_a_field_says_what_would_be_right() -> None:
    field = Field(name="tail", kind=Kind.STRING, minimum_length=1, maximum_length=6, pattern="N.*")
    for rule in FIELD_RULES[2:-1]:
        assert expectation(field, rule)
    many = Field(name="code", kind=Kind.CATEGORY, allowed=tuple(f"c{i}" for i in range(30)))
    assert expectation(many, "allowed").endswith("and 20 more")


def test_native_rows_are_reported_with_the_values_given() -> None:
    row = CONTRACT.new_row()
    assert CONTRACT.check_doubles(np.array([15.0, -2.0]), row) == 4
    violations = CONTRACT.violations_of(row, {"age": 15, "limit": -2.0})
    assert [violation.rule for violation in violations.describe()] == ["minimum", "adult"]
