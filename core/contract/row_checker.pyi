"""The check of one mapping of Python values: the hot path of an agent."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract.plan import CompiledContract
from gnomon.core.contract.violations import Violations
from gnomon.core.expression.evaluation import CompiledProgram
from gnomon.core.row import Row

__all__ = ["RowChecker"]

class RowChecker(CompiledContract):
    """A compiled contract that takes Python values; `patterns` are pairs (field, pattern)."""

    def __new__(
        cls,
        layouts: Sequence[dict[str, Any]],
        conditions: Sequence[tuple[CompiledProgram, int]],
        patterns: Sequence[tuple[int, re.Pattern[str]]] = (),
    ) -> Self: ...
    def check_row(self, mapping: Mapping[str, Any], row: Row) -> Violations | None:
        """Check one mapping from field names to values and fill `row`; None if no rule is broken.

        Takes float, int, bool, str, bytes (UTF-8), None, NumPy's scalars, and arrays or lists for
        vectors. NaN and None are missing values. Raises `ValueError` for another contract's row.
        """

    def check_doubles(self, values: NDArray[np.float64], row: Row) -> int:
        """Check a row of float64 as native code does and fill `row`; return the worst severity.

        NaN is a missing value, a bool 0 or 1, a category its code, a free text its length. 0 is
        no violation, 1 flag, 2 clip, 3 impute, 4 reject.
        """

    def check_objects(
        self, field: int, values: Sequence[Any], row: Row
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.uint8]]:
        """Check a sequence of Python values as one field's; return numbers, rules and status."""
