"""A contract compiled to flat C structures that can be read without the GIL."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.expression.evaluation import CompiledProgram
from gnomon.core.row import Row

__all__ = ["CompiledContract"]

class CompiledContract:
    """Holds the plan that native code reads; made from `gnomon.core.contract.layout`."""

    def __init__(
        self,
        layouts: Sequence[dict[str, Any]],
        conditions: Sequence[tuple[CompiledProgram, int]],
    ) -> None: ...
    def new_row(self) -> Row:
        """Return a row buffer of this contract's size, for one thread's use."""

    def check_doubles(self, values: NDArray[np.float64], row: Row) -> int:
        """Check a row of float64 as native code does and fill `row`; return the worst severity.

        NaN is a missing value, a bool 0 or 1, a category its code, a free text its length. 0 is
        all well, 1 flag, 2 clip, 3 impute, 4 reject.
        """

    @property
    def needs_python(self) -> bool:
        """Whether some field has a pattern, which only Python can match."""
