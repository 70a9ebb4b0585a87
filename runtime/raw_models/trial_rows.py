"""Made-up rows to try a raw model on, and which of them it answers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.fields import Field
from gnomon.core.row import Columns
from gnomon.runtime.errors import EngineError
from gnomon.runtime.models.outputs import OutputReader

__all__ = ["make_rows", "select_finite_rows"]

_ROWS = 5


def make_rows(contract: Contract) -> tuple[list[dict[str, Any]], Columns]:
    """Return made-up rows, zeros and ones first, as a client sends them and as they are checked."""
    width = sum(field.size for field in contract.fields)
    made_up = np.random.default_rng(0).standard_normal((_ROWS, width))
    made_up[:2] = [[0.0], [1.0]]
    ends = np.cumsum([field.size for field in contract.fields])[:-1]
    rows = [
        {
            field.name: _value(field, part)
            for field, part in zip(contract.fields, parts, strict=True)
        }
        for parts in (np.split(row, ends) for row in made_up)
    ]
    checked, _ = contract.check_columns(
        {
            field.name: np.asarray(
                [row[field.name] for row in rows],
                np.float32 if field.kind.is_vector else field.kind.value,
            )
            for field in contract.fields
        }
    )
    return rows, checked


def _value(field: Field, numbers: NDArray[np.float64]) -> Any:
    if field.kind.is_vector:
        return numbers.round(4).tolist()
    number = round(float(numbers[0]), 4)
    return int(number) if field.kind.is_integer else number


def select_finite_rows(
    rows: list[dict[str, Any]],
    answers: list[NDArray[Any]],
    outputs: tuple[Field, ...],
    name: str,
) -> list[dict[str, Any]]:
    """Return the rows whose answers are finite."""
    columns = OutputReader(name, outputs).read_columns(answers, len(rows))
    _, wrong = Contract(outputs).check_columns(columns)
    bad = wrong.rejected_rows(len(rows)) if wrong else np.zeros(len(rows), np.bool_)
    good = [row for row, is_bad in zip(rows, bad, strict=True) if not is_bad]
    if not good:
        raise EngineError(
            f"{name}: the model answers no made-up row with finite numbers; build the package from "
            "a recipe with data"
        )
    return good
