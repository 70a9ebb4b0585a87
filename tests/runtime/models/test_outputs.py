"""Outputs of every kind: a row and columns say the same, and policies are applied."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind, Policy
from gnomon.runtime.errors import EngineError
from gnomon.runtime.models.outputs import OutputReader, repair_columns, repair_row

FIELDS = (
    Field(name="time", kind=Kind.FLOAT32, minimum=0, policy=Policy.CLIP),
    Field(name="late", kind=Kind.BOOL),
    Field(name="gate", kind=Kind.INT64),
    Field(name="class", kind=Kind.CATEGORY, allowed=("on time", "late", "lost")),
    Field(name="shares", kind=Kind.VECTOR, shape=(3,), minimum=0, policy=Policy.FLAG),
)


def answers(rows: int) -> list[np.ndarray[Any, Any]]:
    return [
        np.linspace(-1, 1, rows, dtype=np.float32).reshape(-1, 1),
        np.arange(rows) % 2 == 0,
        np.arange(rows, dtype=np.int64),
        (np.arange(rows) % 3).astype(np.float32).reshape(-1, 1),
        np.linspace(-0.5, 1, 3 * rows, dtype=np.float32).reshape(rows, 3),
    ]


def ask_row(values: Sequence[Any]) -> dict[str, Any]:
    contract = Contract(FIELDS)
    row = contract.new_row()
    outputs = OutputReader("eta@1", FIELDS).read_row(values)
    if contract.check_row(outputs, row) is not None:
        repair_row(outputs, FIELDS, row)
    return outputs


def test_rows_and_columns_say_the_same() -> None:
    outputs = OutputReader("eta@1", FIELDS).read_columns(answers(9), 9)
    columns, violations = Contract(FIELDS).check_columns(outputs)
    assert violations is not None
    repair_columns(outputs, FIELDS, columns)
    for row in range(9):
        one = ask_row([array[row : row + 1] for array in answers(9)])
        for field in FIELDS:
            expected = outputs[field.name][row]
            if field.kind.is_text:
                assert one[field.name] == expected
            else:
                np.testing.assert_array_equal(one[field.name], expected)


def test_values_are_plain_python() -> None:
    outputs = ask_row([array[-1:] for array in answers(3)])
    assert outputs == {
        "time": 1.0,
        "late": True,
        "gate": 2,
        "class": "lost",
        "shares": [pytest.approx(0.625), pytest.approx(0.8125), 1.0],
    }
    assert [type(value) for value in outputs.values()] == [float, bool, int, str, list]


@pytest.mark.parametrize("code", [-1.0, 3.0, 0.5, float("nan")])
def test_code_without_a_category_breaks_the_contract(code: float) -> None:
    values = answers(1)
    values[3] = np.array([[code]], np.float32)
    outputs = OutputReader("eta@1", FIELDS).read_row(values)
    assert outputs["class"] is None
    violations = Contract(FIELDS).check_row(outputs, Contract(FIELDS).new_row())
    assert violations is not None
    assert violations.rejected


def test_fraction_is_not_cut_to_a_whole_number() -> None:
    values = answers(2)
    values[2] = np.array([0.5, 1.0])
    outputs = OutputReader("eta@1", FIELDS).read_columns(values, 2)
    _, violations = Contract(FIELDS).check_columns(outputs)
    assert violations is not None
    assert [(one.field, one.row) for one in violations.describe() if one.field == "gate"] == [
        ("gate", 0)
    ]


def test_wrong_size_is_an_error_of_the_engine() -> None:
    with pytest.raises(EngineError, match=r"eta@1: output 'time' has shape \(2, 1\), expected"):
        OutputReader("eta@1", FIELDS).read_columns(answers(2), 1)
    with pytest.raises(EngineError, match="output 'time' has shape"):
        OutputReader("eta@1", FIELDS).read_row(answers(2))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(("kind", "shape"), [(Kind.VECTOR, (2,)), (Kind.TENSOR, (1, 2))])
def test_whole_numbers_of_a_vector_are_exact_or_refused(
    kind: Kind, shape: tuple[int, ...], dtype: type[np.integer[Any]], sign: int
) -> None:
    reader = OutputReader("top@1", [Field(name="ids", kind=kind, shape=shape)])

    def answer(number: int) -> list[np.ndarray[Any, Any]]:
        return [np.full((1, *shape), sign * number, dtype)]

    exact = answer(2**24 - 1)
    assert np.all(np.asarray(reader.read_columns(exact, 1)["ids"], np.float32) == exact[0])
    assert np.all(np.asarray(reader.read_row(exact)["ids"]) == exact[0][0])
    for number in (2**24, 2**24 + 1, 2**31 - 1):
        with pytest.raises(EngineError, match=rf"'ids'.*up to 16777215.*gave -?{number}"):
            reader.read_columns(answer(number), 1)
        with pytest.raises(EngineError, match="up to 16777215"):
            reader.read_row(answer(number))
