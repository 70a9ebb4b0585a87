"""Random contracts and data against the oracle: `python -m gnomon.bench.core.contract_fuzz`.

Deterministic by seed. Each round draws a contract and mostly invalid rows. The row form, the column
form and the plain Python oracle must find the same violations and pass on the same values.
"""

import argparse
import math
import time
from random import Random
from typing import Any

import numpy as np

from gnomon.bench.core.contract_oracle import naive_row
from gnomon.core.contract import Contract
from gnomon.core.contract.layout import layout_of
from gnomon.core.contract.violations import Violations
from gnomon.core.fields import ContractError, Field, Kind, Policy, Rule

__all__ = ["check_round", "draw_contract", "draw_rule", "draw_value", "main"]

TEXTS = ("", "a", "UA", "JFK", "longer than eight bytes", "é", "日本", "UA\x00", "\ud800", "N12345")
NUMBERS = (0, 1, -1, 2, 0.0, -0.0, 0.5, 1.5, 100, 127, 128, 255, 256, 300, -129, 2**31, 2**53 + 1)
EXTREMES = (2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400, 1e30, 3.5e38)
SPECIAL = (math.nan, math.inf, -math.inf, 5e-324, 1e308, 0.1, float(np.float32(0.1)))
STRANGE: tuple[Any, ...] = (
    True,
    False,
    None,
    b"UA",
    b"\xff",
    (),
    [1.0, 2.0],
    [1, "a"],
    [[1], [2, 3]],
    {},
    1j,
    "1",
)
SCALARS = (
    np.float32(0.1),
    np.float64(2.5),
    np.float16(1.5),
    np.longdouble(3),
    np.int8(5),
    np.uint64(2**63 + 5),
    np.bool_(True),
    np.str_("UA"),
    np.datetime64("2013-01-01"),
    np.timedelta64(3, "s"),
    np.array(1.0),
    np.array([0.0, np.nan]),
    np.array([1, 2], dtype=np.int64),
    np.array([True, False]),
    np.array([1e300, 0.0]),
)
VALUES: tuple[Any, ...] = TEXTS + NUMBERS + EXTREMES + SPECIAL + STRANGE + SCALARS
BOUNDS = (-1000, -1, -0.5, 0, 0.1, 0.5, 1, 1.5, 2, 100, 127, 200, 2**40, 1e18, -3e38)
ALLOWED = (0, 1, 2, 5, 63, 64, 100, 1000)
DTYPES = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">f8", "?", "U6", "S3")


def draw_field(random: Random, name: str) -> Field:
    """Draw any field that does not contradict itself."""
    while True:
        try:
            field = Field(**_field_settings(random, name))
            layout_of(field)
            return field
        except ContractError:
            continue


def _field_settings(random: Random, name: str) -> dict[str, Any]:
    kind = random.choice(list(Kind))
    settings: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "required": random.random() < 0.7,
        "nullable": random.random() < 0.4,
        "policy": random.choice(list(Policy)),
        "finite": random.random() < 0.7,
    }
    if kind.is_number or kind.is_vector:
        for bound in ("minimum", "maximum"):
            if random.random() < 0.5:
                settings[bound] = random.choice(BOUNDS)
                settings[f"{bound}_open"] = random.random() < 0.3
        settings["integer"] = kind.is_number and random.random() < 0.2
    if kind.is_number and random.random() < 0.3:
        settings["allowed"] = tuple(random.sample(ALLOWED, random.randint(1, 5)))
    if kind is Kind.CATEGORY or (kind is Kind.STRING and random.random() < 0.4):
        settings["allowed"] = tuple(random.sample(TEXTS, random.randint(1, 4)))
    elif kind is Kind.STRING:
        settings["minimum_length"] = random.choice((None, 1, 3))
        settings["maximum_length"] = random.choice((None, 2, 6))
        settings["pattern"] = random.choice((None, "[A-Z]+", "N?.*"))
    if kind.is_vector:
        settings["shape"] = (2,)
    if settings["policy"] is Policy.IMPUTE:
        pool = TEXTS if kind.is_text else (*NUMBERS[:9], True)
        settings["impute"] = random.choice(pool)
    return settings


def draw_contract(random: Random) -> Contract:
    """Draw up to six fields and up to three conditions over them."""
    fields = [draw_field(random, f"f{index}") for index in range(random.randint(1, 6))]
    rules = []
    for index in range(random.randint(0, 3)):
        rule = draw_rule(random, fields)
        policy = random.choice((Policy.REJECT, Policy.FLAG))
        rules.append(Rule(name=f"r{index}", expression=rule, policy=policy))
    return Contract(fields, [rule for rule in rules if rule.expression])


def draw_rule(random: Random, fields: list[Field]) -> str:
    """Draw a condition over some of the fields; empty if none of them can be read."""
    readable = [field for field in fields if not field.kind.is_vector]
    return _logical(random, readable, 3) if readable else ""


def _logical(random: Random, fields: list[Field], depth: int) -> str:
    if depth and random.random() < 0.5:
        left, right = (_logical(random, fields, depth - 1) for _ in range(2))
        return random.choice((f"({left} and {right})", f"({left} or {right})", f"not ({left})"))
    field = random.choice(fields)
    if random.random() < 0.25:
        return f"{field.name} {random.choice(('is missing', 'is not missing'))}"
    if field.kind is Kind.BOOL:
        return random.choice((field.name, f"{field.name} == True", f"not {field.name}"))
    if field.kind.is_text:
        return _about_text(random, field)
    numbers = [item for item in fields if item.kind.is_number]
    left, middle, right = (_number(random, numbers, depth) for _ in range(3))
    if random.random() < 0.3:
        return f"{field.name} {random.choice(('in', 'not in'))} {{0, 1, 2.5, -1}}"
    signs = ("<", "<=", ">", ">=", "==", "!=")
    first, second = random.choice(signs), random.choice(signs)
    chain = f" {second} {right}" if random.random() < 0.3 else ""
    return f"{left} {first} {middle}{chain} or {field.name} > 1" if depth else f"{field.name} < 1"


def _about_text(random: Random, field: Field) -> str:
    if field.allowed is None:
        return f"{field.name} is missing"
    value = random.choice(field.allowed)
    return random.choice(
        (
            f"{field.name} == {value!r}",
            f"{value!r} != {field.name}",
            f"{field.name} in {field.allowed[:2]!r}",
            f"{field.name} not in [{value!r}]",
            f"{field.name} == {field.name}",
        )
    )


def _number(random: Random, fields: list[Field], depth: int) -> str:
    if depth and random.random() < 0.6:
        left, right = (_number(random, fields, depth - 1) for _ in range(2))
        forms = (
            f"({left} {random.choice('+-*/')} {right})",
            f"{random.choice(('min', 'max'))}({left}, {right})",
            f"{random.choice(('abs', 'log'))}({left})",
            f"-({left})",
        )
        return random.choice(forms)
    if fields and random.random() < 0.7:
        return random.choice(fields).name
    return repr(random.choice((0, 1, 2.5, 100, 1e9)))


def draw_value(random: Random, field: Field) -> Any:
    """Draw a value: half of the time one near what the field wants."""
    if random.random() < 0.5:
        return random.choice(VALUES)
    if field.kind.is_vector:
        return [random.choice(NUMBERS[:8]), random.choice(NUMBERS[:8])]
    if field.kind is Kind.BOOL:
        return random.random() < 0.5
    if field.kind.is_text:
        return random.choice(field.allowed or TEXTS)
    near = [bound for bound in (field.minimum, field.maximum) if bound is not None]
    near += [math.nextafter(bound, side) for bound in near for side in (-math.inf, math.inf)]
    return random.choice([*near, *NUMBERS, *(field.allowed or ())])


def draw_array(random: Random, rows: int) -> np.ndarray[Any, Any]:
    """Draw an array of any plain dtype."""
    dtype = np.dtype(random.choice(DTYPES))
    if dtype.kind in "US":
        return np.array(random.choices(("UA", "JFK", "a"), k=rows), dtype=dtype)
    if dtype.kind == "f":
        values = random.choices((*SPECIAL[:3], *NUMBERS), k=rows)
        with np.errstate(over="ignore"):
            return np.array(values, dtype=np.float64).astype(dtype)
    if dtype.kind == "b":
        return np.array(random.choices((True, False), k=rows))
    limits = np.iinfo(dtype)
    whole = [int(value) for value in (*NUMBERS, *EXTREMES) if float("-inf") < value < 10**300]
    return np.array(
        [min(max(v, limits.min), limits.max) for v in random.choices(whole, k=rows)], dtype
    )


def check_round(random: Random) -> int:
    """Draw one contract and some rows, compare all forms; return how many rows were compared."""
    contract = draw_contract(random)
    count = random.randint(0, 5)
    columns: dict[str, Any] = {}
    for field in contract.fields:
        if random.random() < 0.9:
            columns[field.name] = _draw_column(random, field, count)
    if random.random() < 0.1:
        columns["stranger"] = [1] * count
    if not columns:
        return 0
    rows = [{name: column[index] for name, column in columns.items()} for index in range(count)]
    expected = [naive_row(contract.fields, contract.rules, row) for row in rows]
    _compare_rows(contract, rows, expected)
    _compare_columns(contract, columns, expected)
    return count


def _draw_column(random: Random, field: Field, count: int) -> Any:
    if random.random() < 0.5:
        return draw_array(random, count)
    return [draw_value(random, field) for _ in range(count)]


def _findings(violations: Violations | None) -> list[tuple[int, str | None, str, str]]:
    described = violations.describe(10**6) if violations is not None else []
    return [(item.row, item.field, item.rule, item.policy.value) for item in described]


def _same(left: Any, right: Any) -> bool:
    return bool(np.array_equal(np.asarray(left), np.asarray(right), equal_nan=True))


def _compare_rows(contract: Contract, rows: list[dict[str, Any]], expected: list[Any]) -> None:
    row = contract.new_row()
    for mapping, (values, statuses, findings) in zip(rows, expected, strict=True):
        found = [item[1:] for item in _findings(contract.check_row(mapping, row))]
        _demand(found == findings, contract, mapping, found, findings)
        _demand(_same(row.values, values), contract, mapping, row.values.tolist(), values)
        _demand(_same(row.status, statuses), contract, mapping, row.status.tolist(), statuses)


def _compare_columns(contract: Contract, columns: dict[str, Any], expected: list[Any]) -> None:
    checked, violations = contract.check_columns(columns)
    found = _findings(violations)
    wanted = [(row, *item) for row, (_, _, items) in enumerate(expected) for item in items]
    _demand(found == wanted, contract, columns, found, wanted)
    for index in range(len(contract.fields)):
        values = [row[0][index] for row in expected]
        statuses = [row[1][index] for row in expected]
        got = checked.values(index)
        _demand(_same(got, np.array(values, dtype=float)), contract, columns, got, values)
        status = checked.status(index)
        _demand(_same(status, np.array(statuses, dtype=int)), contract, columns, status, statuses)


def _demand(condition: bool, contract: Contract, given: Any, got: Any, wanted: Any) -> None:
    if not condition:
        raise AssertionError(
            f"contract {contract.to_dict()}\ngiven {given!r}\ngot    {got}\nwanted {wanted}"
        )


def main() -> None:
    """Fuzz for a time and say how much was compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.seconds
    seed, rows = arguments.seed, 0
    while time.monotonic() < end:
        try:
            rows += check_round(Random(seed))  # noqa: S311
        except Exception:
            print(f"seed {seed} fails")
            raise
        seed += 1
    print(f"{seed - arguments.seed} contracts, {rows} rows: all forms agree")


if __name__ == "__main__":
    main()
