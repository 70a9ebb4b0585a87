"""Conditions: what is refused and where, and that all evaluators agree."""

import math
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.bench.core.condition_oracle import condition
from gnomon.bench.core.contract_fuzz import draw_rule
from gnomon.core.contract import Contract
from gnomon.core.expression import Expression, ExpressionError
from gnomon.core.expression.with_numba import compile_with_numba
from gnomon.core.fields import Field, Kind, Rule
from gnomon.core.row import Columns

FIELDS = (
    Field(name="a", kind=Kind.FLOAT64),
    Field(name="b", kind=Kind.INT32),
    Field(name="flag", kind=Kind.BOOL),
    Field(name="city", kind=Kind.CATEGORY, allowed=("JFK", "LGA")),
    Field(name="town", kind=Kind.CATEGORY, allowed=("JFK", "LGA")),
    Field(name="port", kind=Kind.CATEGORY, allowed=("EWR",)),
    Field(name="note", kind=Kind.STRING),
    Field(name="image", kind=Kind.VECTOR, shape=(2,)),
)

REFUSED = [
    ("", None, "invalid syntax"),
    ("a >", 4, "invalid syntax"),
    ("a > 1; b", 6, "invalid syntax"),
    ("a", 1, "expected a condition"),
    ("a + b", 1, "expected a condition"),
    ("1 < 2", 1, "reads no field"),
    ("c > 1", 1, "unknown field 'c'"),
    ("a > 1 and c > 1", 11, "unknown field 'c'"),
    ("missing > 1", 1, "'missing' stands only after"),
    ("a is None", 6, "use =="),
    ("a + 1 is missing", 1, "tests a field"),
    ("a ** 2 > 1", 1, "use [+] - [*] /"),
    ("a % 2 == 1", 1, "use [+] - [*] /"),
    ("+a > 1", 1, "use - or not"),
    ("a.real > 1", 1, "Attribute is not part"),
    ("a[0] > 1", 1, "Subscript is not part"),
    ("(lambda: 1)() > a", 1, "unknown function"),
    ("__import__('os') == a", 1, "unknown function"),
    ("abs(a, b) > 1", 1, "one argument"),
    ("min(a) > 1", 1, "two or more"),
    ("min(a, key=b) > 1", 1, "plain arguments"),
    ("min(*a) > 1", 1, "plain arguments"),
    ("a == 'JFK'", 6, "a number cannot equal the text"),
    ("city == 'BOS'", 9, "'BOS' is not among"),
    ("city in {'JFK', 'BOS'}", 17, "'BOS' is not among"),
    ("city == port", 1, "cannot compare"),
    ("city < 'LGA'", 1, "has no order"),
    ("city > town", 1, "has no order"),
    ("flag > 1", 1, "cannot compare a logical with a number"),
    ("flag + 1 > 1", 1, "expected a number"),
    ("a and flag", 1, "expected a logical"),
    ("not a", 5, "expected a logical"),
    ("note == 'x'", 9, "a free text cannot equal"),
    ("note == note", 1, "cannot compare a free text"),
    ("image is missing", 1, "is a vector"),
    ("image > 1", 1, "cannot compare a vector"),
    ("a in b", 6, "literals in brackets"),
    ("a in {b}", 7, "a literal"),
    ("a in {'x'}", 7, "a number cannot equal the text"),
    ("a in []", 6, "literals in brackets"),
    ("a > 1j", 5, "is no finite number"),
    ("a > 1e999", 5, "is no finite number"),
    ("a > (b := 1)", 6, "NamedExpr is not part"),
    ("a > 1" + " and a > 1" * 300, None, "more than 2000 characters"),
    ("(" * 900 + "a" + ")" * 900 + " > 1", None, "nested"),
    ("a > " + "-" * 1500 + "1", None, "nested|recursion"),
    ("a > \x00", None, "null"),
]


@pytest.mark.parametrize(("source", "position", "reason"), REFUSED)
def test_wrong_expressions_are_refused_with_position_and_reason(
    source: str, position: int | None, reason: str
) -> None:
    with pytest.raises(ExpressionError, match=reason) as refusal:
        Expression(source, FIELDS)
    if position is not None:
        assert f"at character {position}:" in str(refusal.value)


TRUTHS = [
    ("a > 1", {"a": 2.0}, True),
    ("a > 1", {"a": None}, None),
    ("not a > 1", {"a": None}, None),
    ("a > 1 or b == 2", {"a": None, "b": 2}, True),
    ("a > 1 or b == 2", {"a": None, "b": 3}, None),
    ("a > 1 and b == 2", {"a": None, "b": 3}, False),
    ("a is missing", {"a": None}, True),
    ("a is not missing and a > 1", {"a": None}, False),
    ("note is missing", {"note": None}, True),
    ("note is missing", {"note": ""}, False),
    ("0 < a < 2 <= b", {"a": 1.0, "b": 2}, True),
    ("0 < a < 2 <= b", {"a": 1.0, "b": 1}, False),
    ("a / b > 1e30", {"a": 1.0, "b": 0}, True),
    ("a / b > 1e30", {"a": 0.0, "b": 0}, None),
    ("log(a) < 0", {"a": 0.0}, True),
    ("log(a) < 0", {"a": -1.0}, None),
    ("min(a, b, 3) == 1 and max(a, b) == 2", {"a": 1.0, "b": 2}, True),
    ("abs(-a) == 1", {"a": -1.0}, True),
    ("city == 'JFK'", {"city": "JFK"}, True),
    ("'LGA' == city", {"city": "JFK"}, False),
    ("city in ('JFK', 'LGA')", {"city": "BOS"}, False),
    ("city not in ['JFK']", {"city": "BOS"}, True),
    ("city == town", {"city": "JFK", "town": "JFK"}, True),
    ("city == town", {"city": "BOS", "town": "BOS"}, False),
    ("city != town", {"city": "BOS", "town": "BOS"}, True),
    ("flag and a > 0", {"flag": True, "a": 1.0}, True),
    ("flag == False", {"flag": True}, False),
    ("a in {1, -2}", {"a": -2.0}, True),
    ("a not in {1}", {"a": None}, None),
]


@pytest.mark.parametrize(("source", "known", "truth"), TRUTHS)
def test_what_is_true_false_and_unknown(
    source: str, known: dict[str, Any], truth: bool | None
) -> None:
    optional = [
        Field(
            name=field.name, kind=field.kind, allowed=field.allowed, required=False, nullable=True
        )
        for field in FIELDS[:-1]
    ]
    contract = Contract(optional, [Rule(name="rule", expression=source)])
    row = contract.new_row()
    contract.check_row(known, row)
    answer = Expression(source, optional).compile().evaluate_row(row.values)
    assert (None if math.isnan(answer) else answer) == truth
    assert (row.rules[-1] > 0) == (truth is False)


def _columns(random: Any, rows: int) -> tuple[list[Field], Columns, list[dict[str, Any]]]:
    fields = [
        Field(name="f0", kind=Kind.FLOAT64),
        Field(name="f1", kind=Kind.FLOAT64),
        Field(name="f2", kind=Kind.BOOL),
        Field(name="f3", kind=Kind.CATEGORY, allowed=("a", "b", "c")),
    ]
    pool = (0.0, -0.0, 1.0, -1.0, 2.5, 100.0, 1e308, -1e308, math.inf, math.nan, 5e-324)
    numbers = [[random.choice(pool) for _ in range(rows)] for _ in range(2)]
    bools = [random.choice((True, False)) for _ in range(rows)]
    codes = [random.randrange(-1, 3) for _ in range(rows)]
    columns = Columns(
        [*(np.array(part) for part in numbers), np.array(bools), np.array(codes, dtype=np.int32)],
        codes={3},
    )
    known = [
        {
            "f0": None if math.isnan(first) else first,
            "f1": None if math.isnan(second) else second,
            "f2": flag,
            "f3": None if code < 0 else "abc"[code],
        }
        for first, second, flag, code in zip(*numbers, bools, codes, strict=True)
    ]
    return fields, columns, known


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_interpreter_equals_plain_python(random: Any) -> None:
    fields, columns, known = _columns(random, random.choice((1, 5, 129)))
    source = draw_rule(random, fields)
    program = Expression(source, fields).compile()
    answers = program.evaluate_columns(columns)
    for row, values in enumerate(known):
        answer = None if np.isnan(answers[row]) else bool(answers[row])
        assert answer == condition(source, values), (source, values)
        single = np.array([columns.values(field)[row] for field in range(4)])
        assert np.array_equal(program.evaluate_row(single), answers[row], equal_nan=True)


EVERY_OPERATION = (
    "(min(f0, f1) + max(f0, -f1) * 2 - abs(f0) / log(f1) >= 1 or not f2) "
    "and f3 in {'a', 'b'} or f0 is not missing and f0 != f1 and f3 != 'c' == f3"
)


@pytest.fixture(scope="module")
def compiled() -> Any:
    pytest.importorskip("numba")
    fields, _, _ = _columns(Random(0), 1)
    return compile_with_numba(Expression(EVERY_OPERATION, fields))


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.randoms(use_true_random=False))
def test_numba_equals_the_interpreter(compiled: Any, random: Any) -> None:
    fields, columns, _ = _columns(random, 50)
    expected = Expression(EVERY_OPERATION, fields).compile().evaluate_columns(columns)
    assert np.array_equal(compiled(columns), expected, equal_nan=True)


def test_programs_refuse_columns_that_are_too_few() -> None:
    program = Expression("b > 1", FIELDS).compile()
    with pytest.raises(ValueError, match="reads 2 fields"):
        program.evaluate_row(np.zeros(1))
    with pytest.raises(ValueError, match="reads 2 fields"):
        program.evaluate_columns(Columns([np.zeros(3)]))


def test_operands_are_in_the_order_of_the_contract() -> None:
    assert Expression("b > a or b < 2", FIELDS).operands == ("a", "b")
