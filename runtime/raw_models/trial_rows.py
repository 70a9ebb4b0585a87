"""Made-up rows to try a raw model on, and which of them it answers."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.fields import Field
from gnomon.core.row import Columns
from gnomon.runtime.errors import EngineError
from gnomon.runtime.models.outputs import OutputReader
from gnomon.runtime.raw_models.probe import answer

__all__ = ["answer_some", "make_rows", "select_finite_rows"]

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


def answer_some(
    format: str,
    content: bytes,
    tensors: Mapping[str, NDArray[Any]],
    outputs: Sequence[str],
    *,
    is_single_row: bool,
    reference: str,
) -> tuple[list[int], list[NDArray[Any]]]:
    """Return the positions of the rows that the model can take, and its answers to these.

    Made-up rows may be outside of what a model takes: a divisor of zero, an index beyond a table.

    Args:
        format: of the model file.
        content: bytes of the model file.
        tensors: name → array of shape (rows, columns).
        outputs: names of the outputs that are wanted.
        is_single_row: the model takes one row at a time.
        reference: what errors call the model.

    Raises:
        EngineError: the engine cannot load the model, an output's first axis is not the rows, or
            the model fails on every row.
    """

    def ask(places: list[int]) -> list[NDArray[Any]]:
        part = {name: np.ascontiguousarray(array[places]) for name, array in tensors.items()}
        return answer(
            format, content, part, outputs, is_single_row=is_single_row, reference=reference
        )

    every = list(range(len(next(iter(tensors.values())))))
    try:
        return every, ask(every)
    except EngineError as error:
        good, first = [], error
    for place in every:
        with contextlib.suppress(EngineError):
            ask([place])
            good.append(place)
    if not good:
        raise first
    return good, ask(good)


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
    """Return the rows whose answers are finite.

    Args:
        rows: value by field of each row.
        answers: the model's output tensors, each of shape `(rows, …)`.
        outputs: the fields of these tensors.
        name: what errors call the model.

    Raises:
        EngineError: no row has finite answers, or an output has another shape than its field.
    """
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
