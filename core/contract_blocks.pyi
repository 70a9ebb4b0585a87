"""Passes over typed columns: is anything amiss, and if so, what in which row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract_plan import CompiledContract

__all__ = ["any_broken", "check_numbers", "check_vectors", "severity_table"]

def any_broken(contract: CompiledContract, index: int, array: NDArray[Any]) -> bool:
    """Tell whether a contiguous column of the field's own dtype may hold a violation.

    False is certain; True may also mean that only a look at each value can tell.
    """

def check_numbers(
    contract: CompiledContract, index: int, values: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.uint8]]:
    """Check each number of a contiguous column of any plain dtype; numbers, rules, status."""

def check_vectors(
    contract: CompiledContract, index: int, values: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Check each row of (rows, elements); return the rule that each broke, 0 for none."""

def severity_table(contract: CompiledContract, index: int) -> NDArray[np.uint8]:
    """Return how grave each rule is for a field, by the rule's code."""
