"""Passes over typed columns: whether any rule is broken, and if so, which in which row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract.plan import CompiledContract

__all__ = ["check_numbers", "check_vectors", "clean_columns", "severity_table"]

def clean_columns(
    contract: CompiledContract, names: Sequence[str], mapping: Mapping[str, Any]
) -> list[NDArray[Any] | None]:
    """Return, for each field, its array if that is of the field's own dtype and keeps all rules.

    None means that the field needs a closer look, not that it is broken.
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
