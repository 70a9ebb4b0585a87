"""The contract: rows and columns against the plain Python twin, policies, and what flows on."""

import copy
import pickle
import threading
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.bench.core.contract_fuzz import check_round, draw_contract
from gnomon.core.contract import Contract
from gnomon.core.fields import ContractError, Field, Kind, Policy, Rule
from gnomon.core.string_index import StringIndex


def _flights(**changes: Any) -> Contract:
    distance = {"name": "distance", "kind": Kind.FLOAT64, "minimum": 0, "maximum": 5000, **changes}
    return Contract(
        [
            Field(**distance),
            Field(name="hour", kind=Kind.INT8, minimum=0, maximum=24, maximum_open=True),
            Field(name="carrier", kind=Kind.CATEGORY, allowed=("UA", "AA", "DL")),
        ],
        [Rule(name="early_is_short", expression="hour > 5 or distance < 1000")],
    )


GOOD = {"distance": 200.0, "hour": 7, "carrier": "AA"}


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.randoms(use_true_random=False))
def test_rows_and_columns_equal_the_twin(random: Any) -> None:
    check_round(random)


def test_fuzz_target_runs_a_fixed_share() -> None:
    """The same rounds every time; the long run is `python -m gnomon.bench.core.contract_fuzz`."""
    assert sum(check_round(Random(seed)) for seed in range(150)) > 200


def test_a_clean_row_is_none_and_fills_the_row() -> None:
    contract = _flights()
    row = contract.new_row()
    assert contract.check_row(GOOD, row) is None
    assert row.values.tolist() == [200.0, 7.0, 1.0]
    assert row.status.tolist() == [0, 0, 0]
    assert contract.check_row(dict(reversed(GOOD.items())), row) is None
    assert contract.check_row({"".join(list(key)): GOOD[key] for key in GOOD}, row) is None


def test_nothing_of_the_last_row_stays_behind() -> None:
    contract = Contract(
        [
            Field(name="a", kind=Kind.FLOAT64, required=False),
            Field(name="v", kind=Kind.VECTOR, shape=(2,), required=False),
        ],
        [Rule(name="positive", expression="a > 0")],
    )
    row = contract.new_row()
    assert contract.check_row({"a": -1.0, "v": [1, 2]}, row) is not None
    assert contract.check_row({}, row) is None
    assert np.isnan(row.values).all() and np.isnan(row.vectors).all()
    assert row.status.tolist() == [1, 1] and not row.rules.any()


def test_violations_say_field_value_rule_and_what_would_be_right() -> None:
    contract = _flights(unit="miles")
    row = contract.new_row()
    given_row = {"distance": 9000.0, "hour": 24, "carrier": "XX", "extra": 1}
    violations = contract.check_row(given_row, row)
    assert violations is not None and violations.rejected
    assert [str(violation) for violation in violations.describe()] == [
        "row 0: field 'distance': 9000.0 breaks 'maximum'; right would be <= 5000 miles",
        "row 0: field 'hour': 24 breaks 'maximum'; right would be < 24",
        "row 0: field 'carrier': 'XX' breaks 'allowed'; right would be one of 'UA', 'AA', 'DL'",
        "row 0: field 'extra': '(private)' breaks 'unknown_field'; "
        "right would be one of 'distance', 'hour', 'carrier'",
    ]
    assert row.status.tolist() == [2, 2, 3]
    assert violations.counts_by_rule == {"unknown_field": 1, "maximum": 2, "allowed": 1}


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        ("int8", 300, "overflow"),
        ("uint8", -1, "overflow"),
        ("int64", 2**63, "overflow"),
        ("int64", 2**53, "overflow"),
        ("int64", -(2**53), "overflow"),
        ("int64", 2.0**53, "overflow"),
        ("int64", 2**53 - 1, None),
        ("int64", 1 - 2**53, None),
        ("uint64", 2**64, "overflow"),
        ("uint64", 2**64 - 1, "overflow"),
        ("uint64", 2**53 - 1, None),
        ("int64", 3.0, None),
        ("int64", 3.5, "integer"),
        ("int64", float("inf"), "finite"),
        ("int64", True, "type"),
        ("int64", "3", "type"),
        ("int64", b"3", "type"),
        ("int64", np.bool_(True), "type"),
        ("int64", np.timedelta64(1, "s"), "type"),
        ("float32", 1e300, "overflow"),
        ("float32", 10**400, "overflow"),
        ("float64", 10**400, "overflow"),
        ("float64", float("nan"), "null"),
        ("float64", None, "null"),
        ("float64", float("-inf"), "finite"),
        ("float64", False, "type"),
        ("bool", 1, "type"),
        ("bool", np.bool_(False), None),
        ("string", 5, "type"),
        ("string", b"\xff", "type"),
        ("string", "\ud800", "type"),
        ("string", b"bytes", None),
    ],
)
def test_types_are_not_mistaken_for_each_other(kind: str, value: Any, rule: str | None) -> None:
    contract = Contract([Field(name="field", kind=Kind(kind))])
    violations = contract.check_row({"field": value}, contract.new_row())
    assert (violations.describe()[0].rule if violations else None) == rule
    _, violations = contract.check_columns({"field": [value]})
    assert (violations.describe()[0].rule if violations else None) == rule


def test_clip_and_impute_repair_what_flows_on_and_say_so() -> None:
    contract = _flights(policy=Policy.CLIP)
    row = contract.new_row()
    violations = contract.check_row({**GOOD, "distance": -3.0}, row)
    assert violations is not None and not violations.rejected
    assert row.values[0] == 0.0 and row.status[0] == 2
    assert violations.describe()[0].policy is Policy.CLIP
    contract = _flights(policy=Policy.IMPUTE, impute=700.0)
    row = contract.new_row()
    violations = contract.check_row({"hour": 7, "carrier": "AA"}, row)
    assert violations is not None and not violations.rejected
    assert row.values[0] == 700.0 and row.status[0] == 1


def test_clean_columns_flow_on_without_a_copy() -> None:
    contract = _flights()
    distance, hour = np.array([1.0, 2.0]), np.array([7, 8], dtype=np.int8)
    columns, violations = contract.check_columns(
        {"distance": distance, "hour": hour, "carrier": ["UA", "DL"]}
    )
    assert violations is None
    assert columns.array(0) is distance and columns.array(1) is hour
    assert columns.array(2).tolist() == [0, 2] and columns.mask(2) is None


def test_columns_are_repaired_in_a_copy() -> None:
    contract = _flights(policy=Policy.CLIP)
    distance = np.array([1.0, -2.0, 6000.0])
    columns, violations = contract.check_columns(
        {"distance": distance, "hour": np.array([7, 8, 9]), "carrier": ["UA", "DL", "XX"]}
    )
    assert distance.tolist() == [1.0, -2.0, 6000.0]
    assert columns.array(0).tolist() == [1.0, 0.0, 5000.0]
    assert columns.status(0).tolist() == [0, 2, 2]
    assert violations is not None
    assert violations.rejected_rows(3).tolist() == [False, False, True]
    assert violations.rows.tolist() == [1, 2, 2]


def test_arrays_that_are_strided_swapped_or_read_only_are_checked_the_same() -> None:
    contract = Contract([Field(name="x", kind=Kind.FLOAT64, minimum=0, maximum=5)])
    base = np.array([1.0, -1.0, 9.0, 2.0])
    read_only = base[:2].copy()
    read_only.setflags(write=False)
    for array in (base[::2], base[::-1], base.astype(">f8"), base.astype(np.longdouble), read_only):
        _, violations = contract.check_columns({"x": array})
        wrong = [row for row, value in enumerate(array) if not 0 <= value <= 5]
        assert (violations.rows.tolist() if violations else []) == wrong


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"])
@pytest.mark.parametrize("rows", [0, 1, 3, 31, 64, 1000])
def test_every_position_of_every_kernel(dtype: str, rows: int) -> None:
    kind = Kind(np.dtype(dtype).name)
    contract = Contract([Field(name="x", kind=kind, minimum=5, maximum=100)])
    array = np.full(rows, 50, dtype=dtype)
    assert contract.check_columns({"x": array})[1] is None
    for position in {0, rows // 2, rows - 1} if rows else set():
        for value in (4, 101):
            array[position] = value
            violations = contract.check_columns({"x": array})[1]
            assert violations is not None and violations.rows.tolist() == [position]
        array[position] = 50


@pytest.mark.parametrize("span", [63, 64, 100000])
@pytest.mark.parametrize("dtype", ["i4", "i8", "u8", "f4"])
def test_allowed_numbers_near_and_far(span: int, dtype: str) -> None:
    kind = Kind(np.dtype(dtype).name)
    contract = Contract([Field(name="x", kind=kind, allowed=(1, 5, 1 + span))])
    given_numbers = [0, 1, 2, 5, 6, span, 1 + span, 2 + span]
    _, violations = contract.check_columns({"x": np.array(given_numbers, dtype=dtype)})
    assert violations is not None
    wrong = [row for row, value in enumerate(given_numbers) if value not in (1, 5, 1 + span)]
    assert violations.rows.tolist() == wrong
    assert violations.counts_by_rule == {"allowed": len(wrong)}


def test_a_float32_field_is_compared_in_float32() -> None:
    contract = Contract([Field(name="x", kind=Kind.FLOAT32, maximum=0.1)])
    assert contract.check_row({"x": 0.1}, contract.new_row()) is None
    assert contract.check_columns({"x": np.array([0.1], dtype=np.float32)})[1] is None


def test_missing_columns_and_rows_of_different_length() -> None:
    contract = _flights()
    _, violations = contract.check_columns({"hour": [1, 2], "carrier": ["UA", "UA"]})
    assert violations is not None and violations.counts_by_rule == {"required": 2}
    with pytest.raises(ContractError, match="'carrier': 3 rows, but field 'hour' has 2"):
        contract.check_columns({"hour": [1, 2], "carrier": ["UA"] * 3})
    columns, violations = contract.check_columns({})
    assert columns.rows == 0 and violations is None


def test_unknown_fields_can_be_only_flagged_and_do_not_fill_memory() -> None:
    contract = Contract([Field(name="a", kind=Kind.BOOL)], unknown=Policy.FLAG)
    row = contract.new_row()
    violations = contract.check_row({"a": True, **{f"x{i}": i for i in range(9999)}}, row)
    assert violations is not None and not violations.rejected and len(violations) == 16
    violations = contract.check_row({"a": True, 5: 1, None: 2, ("t",): 3, "é": 4}, row)
    assert violations is not None and len(violations.describe()) == 4


def test_rows_of_another_contract_are_refused() -> None:
    contract = _flights()
    with pytest.raises(ValueError, match="another contract"):
        contract.check_row(GOOD, Contract([Field(name="a", kind=Kind.BOOL)]).new_row())
    with pytest.raises(TypeError):
        contract.check_row(GOOD, None)
    with pytest.raises((TypeError, ValueError)):
        contract.check_row("text", contract.new_row())


def test_hostile_values_do_no_harm() -> None:
    class Hostile:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

        def __float__(self) -> float:
            raise RuntimeError

    class Changing(float):
        pass

    contract = _flights()
    row = contract.new_row()
    violations = contract.check_row({**GOOD, "distance": Hostile(), "hour": [[[]]]}, row)
    assert violations is not None and violations.counts_by_rule == {"type": 2}
    assert contract.check_row({**GOOD, "distance": Changing(5.0)}, row) is None


def test_contract_travels_by_json_pickle_and_copy() -> None:
    contract = _flights(private=True)
    for twin in (
        Contract.from_dict(contract.to_dict()),
        pickle.loads(pickle.dumps(contract)),
        copy.deepcopy(contract),
    ):
        assert twin.to_dict() == contract.to_dict()
        assert twin.check_row(GOOD, twin.new_row()) is None
    with pytest.raises(ContractError, match="unknown key 'columns'"):
        Contract.from_dict({"fields": [], "columns": []})
    with pytest.raises(ContractError, match="'fields' is missing"):
        Contract.from_dict({})


def test_layout_digest_depends_on_layout_alone() -> None:
    contract = _flights()
    assert contract.layout_digest == _flights(maximum=9).layout_digest
    other = Contract(contract.fields[::-1], contract.rules)
    assert contract.layout_digest != other.layout_digest
    assert len(contract.layout_digest) == 64


def test_names_must_differ_and_wrong_rules_name_themselves() -> None:
    field = Field(name="a", kind=Kind.BOOL)
    with pytest.raises(ContractError, match="field 'a' is there twice"):
        Contract([field, field])
    with pytest.raises(
        ContractError, match="rule 'r': expression 'b' at character 1: unknown field 'b'"
    ):
        Contract([field], [Rule(name="r", expression="b")])
    with pytest.raises(ContractError, match="use 'reject' or 'flag'"):
        Contract([field], unknown=Policy.CLIP)
    with pytest.raises(ContractError, match="more than 200"):
        Contract([field], [Rule(name=f"r{i}", expression="a") for i in range(201)])


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_native_form_equals_the_row_form(random: Any) -> None:
    """A row of doubles, as native code hands it over, gives what the same Python values give."""
    contract = draw_contract(random)
    if any(field.kind.is_vector or field.pattern for field in contract.fields):
        return
    mapping, doubles = {}, []
    for field in contract.fields:
        mapping[field.name], double = _value_and_double(random, field)
        doubles.append(double)
    row, native = contract.new_row(), contract.new_row()
    violations = contract.check_row(mapping, row)
    worst = contract.check_doubles(np.array(doubles), native)
    assert worst == (0 if violations is None else violations.severities.max())
    assert np.array_equal(row.values, native.values, equal_nan=True)
    assert row.status.tolist() == native.status.tolist()
    assert row.rules.tolist() == native.rules.tolist()


def _value_and_double(random: Any, field: Field) -> tuple[Any, float]:
    if random.random() < 0.2:
        return None, np.nan
    if field.kind is Kind.BOOL:
        value = random.random() < 0.5
        return value, float(value)
    if field.allowed is not None and field.kind.is_text:
        code = random.randrange(-1, len(field.allowed))
        return ("nowhere", -2.0) if code < 0 else (field.allowed[code], float(code))
    if field.kind.is_text:
        text = "x" * random.randrange(8)
        return text, float(len(text))
    number = random.choice((0.0, 1.0, 0.5, -1.0, 100.0, 300.0, 1e19, 1e300, np.inf))
    return number, number


def test_native_form_refuses_rows_of_another_size() -> None:
    contract = _flights()
    with pytest.raises(ValueError, match="3 values are expected"):
        contract.check_doubles(np.zeros(2), contract.new_row())
    assert contract.check_doubles(np.array([1.0, 7.0, 99.0]), contract.new_row()) == 4


def test_threads_with_rows_of_their_own_agree() -> None:
    contract = _flights()
    wrong: list[Any] = []

    def work(hour: int) -> None:
        row = contract.new_row()
        for _ in range(2000):
            bad = contract.check_row({**GOOD, "hour": hour}, row)
            if (bad is None) != (hour < 24) or row.values[1] != hour:
                wrong.append((hour, bad))

    threads = [threading.Thread(target=work, args=(hour,)) for hour in (7, 23, 24, 99)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True), st.text("ab\0é"))
def test_string_index_equals_a_dict(texts: list[str], other: str) -> None:
    table = StringIndex(texts)
    positions = {text: code for code, text in enumerate(texts)}
    assert len(table) == len(texts)
    for text in [*texts, other, *(text[:-1] for text in texts)]:
        assert table.code(text) == positions.get(text)


def test_string_index_refuses_doubles() -> None:
    with pytest.raises(ValueError, match="twice"):
        StringIndex(["a", "b", "a"])
