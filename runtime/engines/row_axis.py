"""Checks, when a model is loaded, that it answers row by row.

The first axis of every output must be the rows. An output of N numbers for each of 5 classes,
[5, N], has as many elements as [N, 5], and one row alone does not tell them apart; so one, two and
three rows are run. The same runs tell whether a row's answer depends on the rows beside it.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.packing import Packing
from gnomon.runtime.engines.base import Engine, RowRunner
from gnomon.runtime.errors import EngineError

__all__ = ["RowByRow", "check_axis", "check_rows"]

#: Two different numbers of rows: no fixed size of an output equals both.
_TOGETHER = (2, 3)
#: What float32 sums in another order may differ by.
_ABSOLUTE, _RELATIVE = 1e-5, 1e-4

Tensors = Mapping[str, NDArray[Any]]


def check_rows(reference: str, engine: Engine, tensors: Tensors, outputs: Sequence[str]) -> bool:
    """Run up to three rows alone and together.

    Args:
        reference: What errors call the model.
        engine: The loaded model.
        tensors: The model's inputs by name, each (rows, …); with fewer than three rows, rows are
            repeated.
        outputs: The names of the outputs.

    Returns:
        Whether each row is answered the same alone and among others. True also if the model takes
        one row at a time only, or fails on each of the rows.

    Raises:
        EngineError: the model has no inputs, or an output's first axis is not the rows.
    """
    if not tensors:
        raise EngineError(f"{reference}: the package names no input of the model; it has no rows")
    alone = _run_alone(engine, tensors)
    for answers in alone.values():
        check_axis(reference, answers, outputs, 1)
    if not alone:
        return True
    places = np.resize([*alone], _TOGETHER[-1])
    tensors = {name: np.ascontiguousarray(array[places]) for name, array in tensors.items()}
    for rows in _TOGETHER:
        try:
            answers = engine.run({name: array[:rows] for name, array in tensors.items()})
        except EngineError:
            # Its batch is fixed at one row.
            return True
        check_axis(reference, answers, outputs, rows)
        for row in range(rows):
            if not _agree(answers, alone[places[row]], outputs, row):
                return False
    return True


def check_axis(reference: str, answers: Tensors, outputs: Sequence[str], rows: int) -> None:
    """Raise EngineError if an output's first axis is not that many rows.

    Args:
        reference: what the message calls the model.
        answers: output → array.
        outputs: names of those to check.
        rows: how many rows went in.
    """
    for name in outputs:
        shape = answers[name].shape
        if shape[:1] != (rows,):
            noun = "row" if rows == 1 else "rows"
            raise EngineError(
                f"{reference}: output {name!r} has shape {shape} for {rows} {noun}; right would be "
                f"({rows}, …), since the first axis must be the rows"
            )


class RowByRow:
    """Runs the rows of a call one after another, for a model whose rows depend on each other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.works_in_caller = engine.works_in_caller

    def run(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name, each with rows as the first dimension.

        Arguments and errors are those of `Engine.run`.
        """
        rows = len(next(iter(tensors.values())))
        if rows < 2:
            return self._engine.run(tensors)
        parts = [
            self._engine.run({name: array[row : row + 1] for name, array in tensors.items()})
            for row in range(rows)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def row_runner(self, packing: Packing) -> RowRunner | None:
        """Return the engine's own way for one row."""
        return self._engine.row_runner(packing)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def _run_alone(engine: Engine, tensors: Tensors) -> dict[int, Tensors]:
    """Return the answers of up to three rows by their place; rows that fail are left out."""
    alone: dict[int, Tensors] = {}
    for row in range(len(next(iter(tensors.values())))):
        with contextlib.suppress(EngineError):
            alone[row] = engine.run({name: one[row : row + 1] for name, one in tensors.items()})
        if len(alone) == _TOGETHER[-1]:
            break
    return alone


def _agree(together: Tensors, alone: Tensors, outputs: Sequence[str], row: int) -> bool:
    return all(
        together[name].shape[1:] == alone[name].shape[1:]
        and _is_close(together[name][row], alone[name][0])
        for name in outputs
    )


def _is_close(one: Any, other: Any) -> bool:
    if np.asarray(one).dtype.kind in "OU":
        return bool(np.array_equal(one, other))
    return bool(np.allclose(one, other, _RELATIVE, _ABSOLUTE, equal_nan=True))
