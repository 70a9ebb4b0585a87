"""Whole numbers reach a model as they came, or are refused; never as a neighbour or saturated."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.contract import Contract
from gnomon.core.fields import ContractError, Field, Kind, Policy
from gnomon.core.kinds import LARGEST_WHOLE
from gnomon.core.packing import Feature, Packing, Tensor

INTEGERS = [kind for kind in Kind if kind.is_integer]
EDGES = [
    sign * (2**power + step)
    for sign in (1, -1)
    for power in (7, 8, 15, 31, 53, 63, 64, 70)
    for step in (-1, 0, 1)
]
NUMBERS = st.sampled_from(EDGES) | st.integers(-(2**70), 2**70)


def packing_of(kind: Kind, policy: Policy, dtype: str) -> Packing:
    repair = {Policy.IMPUTE: {"impute": 1}, Policy.CLIP: {"minimum": 0, "maximum": 100}}
    field = Field(name="n", kind=kind, policy=policy, **repair.get(policy, {}))  # type: ignore[arg-type]
    return Packing(Contract([field]), [Tensor("t", dtype, (Feature("n", missing=-7),))])


def columns_of(value: int) -> list[Any]:
    """Return one value as every kind of column that can hold it."""
    columns: list[Any] = [[value], (value,), np.array([value], object)]
    for kind in INTEGERS:
        dtype = np.dtype(kind.value)
        if np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
            columns.append(np.array([value], dtype))
    return columns


def is_expected(kind: Kind, policy: Policy, value: int, found: Any, packed: int) -> bool:
    """Whether a value was taken exactly, refused, or repaired as its policy says."""
    least, greatest = kind.integer_range
    if not least <= value <= greatest:
        named = found is not None and found.describe()[0].rule == "overflow"
        return named and (packed == 1 if policy is Policy.IMPUTE else found.rejected)
    if policy is Policy.CLIP:
        return packed == min(max(value, 0), 100) and (found is None) == (packed == value)
    return found is None and packed == value


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("kind", INTEGERS)
@given(value=NUMBERS)
def test_every_way_into_a_contract_is_exact_or_refused(
    kind: Kind, policy: Policy, value: int
) -> None:
    packing = packing_of(kind, policy, "INT64")
    row = packing.contract.new_row()
    found = packing.contract.check_row({"n": value}, row)
    assert is_expected(kind, policy, value, found, int(packing.pack_row(row)["t"][0, 0]))
    for column in columns_of(value):
        checked, found = packing.contract.check_columns({"n": column})
        packed = int(packing.pack_columns(checked)["t"][0, 0])
        assert is_expected(kind, policy, value, found, packed), repr(column)


@given(value=st.floats(allow_nan=False) | NUMBERS.map(float))
def test_floats_for_an_integer_field_are_exact_or_refused(value: float) -> None:
    packing = packing_of(Kind.INT64, Policy.REJECT, "INT64")
    row = packing.contract.new_row()
    good = value.is_integer() and abs(value) <= LARGEST_WHOLE
    for column in ([value], np.array([value])):
        checked, found = packing.contract.check_columns({"n": column})
        assert (found is None) == good
        if good:
            assert packing.pack_columns(checked)["t"][0, 0] == value
    assert (packing.contract.check_row({"n": value}, row) is None) == good
    assert (packing.contract.check_doubles(np.array([value]), row) == 0) == good


@given(value=NUMBERS)
def test_a_float_field_rounds_whole_numbers(value: int) -> None:
    contract = Contract([Field(name="x", kind=Kind.FLOAT64)])
    row = contract.new_row()
    assert contract.check_row({"x": value}, row) is None
    assert row.values[0] == float(value)
    for column in columns_of(value):
        checked, found = contract.check_columns({"x": column})
        assert found is None and checked.values(0)[0] == float(value)


@given(value=NUMBERS)
def test_constants_of_a_contract_are_exact_or_refused(value: int) -> None:
    good = abs(value) <= LARGEST_WHOLE
    settings: list[dict[str, Any]] = [
        {"allowed": [value]},
        {"impute": value, "policy": "impute"},
        {"minimum": value, "maximum": value},
    ]
    for change in settings:
        data = json.loads(json.dumps({"name": "n", "kind": "int64", **change}))
        if not good:
            with pytest.raises(ContractError, match="int64"):
                Field.from_dict(data)
        elif "impute" not in change:
            contract = Contract([Field.from_dict(data)])
            row = contract.new_row()
            assert contract.check_row({"n": value}, row) is None
            for neighbour in (value - 1, value + 1):
                assert contract.check_row({"n": neighbour}, row) is not None


def test_the_refusal_says_what_would_be_right() -> None:
    for kind, right in (
        (Kind.INT64, "float64 holds exactly, -9007199254740991 to 9007199254740991"),
        (Kind.UINT64, "float64 holds exactly, 0 to 9007199254740991"),
        (Kind.INT8, "int8 holds, -128 to 127"),
    ):
        contract = Contract([Field(name="n", kind=kind)])
        found = contract.check_row({"n": 2**60}, contract.new_row())
        assert found is not None
        assert str(found.describe()[0]).endswith(f"right would be a whole number that {right}")


def test_a_range_beyond_the_limit_stays_readable() -> None:
    contract = Contract([Field(name="n", kind=Kind.INT64, minimum=-(2**63), maximum=2**63 - 1)])
    assert contract.check_row({"n": LARGEST_WHOLE}, contract.new_row()) is None
    assert contract.check_row({"n": LARGEST_WHOLE + 1}, contract.new_row()) is not None
