"""A few golden rows as an engine's tensors, for checks when a model is loaded."""

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.packing import Packing
from gnomon.runtime.decoding import UNREADABLE
from gnomon.runtime.models.columns import columns_of
from gnomon.runtime.packages.golden import Golden

_ROWS = 16


def golden_tensors(golden: Golden, inputs: Contract, packing: Packing) -> dict[str, NDArray[Any]]:
    """Return those of the first golden rows that the contract takes; if none, a row of zeros.

    Returns:
        Each tensor of the packing by name, of shape (rows, width).
    """
    rows = golden.rows[:_ROWS]
    with contextlib.suppress(*UNREADABLE):
        columns, violations = inputs.check_columns(columns_of(rows))
        bad = violations.rejected_rows(len(rows)) if violations else np.zeros(len(rows), np.bool_)
        if not bad.all():
            return {name: array[~bad] for name, array in packing.pack_columns(columns).items()}
    empty = packing.pack_row(inputs.new_row())
    return {name: np.zeros_like(array) for name, array in empty.items()}
