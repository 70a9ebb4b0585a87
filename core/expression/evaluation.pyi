"""The interpreter of conditions: one postfix program, run over one row or over a block of rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gnomon.core.row import Columns

__all__ = ["CompiledProgram"]

class CompiledProgram:
    """A postfix program made by `gnomon.core.expression.Expression`.

    `instructions` are triples (operation, argument, index of its constants). The answer of a
    row is 1 true, 0 false, NaN unknown.
    """

    fields: int
    depth: int
    def __init__(
        self,
        instructions: Sequence[tuple[int, int, int]],
        constants: Sequence[float],
        depth: int,
    ) -> None: ...
    def operands(self) -> tuple[int, ...]:
        """Return the indices of the fields that the program reads, in order."""

    def evaluate_row(self, values: NDArray[np.float64]) -> float:
        """Evaluate over the values of one row, as in `Row.values`."""

    def evaluate_columns(self, columns: Columns) -> NDArray[np.float64]:
        """Evaluate over every row."""
