"""The counts of one side of a window: fixed-size buffers around the loops of side_counter.h."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gnomon.core.cells.layout import SideLayout
from gnomon.core.reference import Reference

class CountingPlan:
    """What all windows over one reference share: places, scales and edges, as the loops want them.

    `edges` has each field's edges, empty if it has none.
    """

    layout: SideLayout
    def __init__(self, layout: SideLayout, edges: Sequence[Sequence[float]]) -> None: ...
    @property
    def nbytes(self) -> int:
        """Memory of all buffers, in bytes."""

class SideCounter:
    """The counts of one side, which the window updates under its lock."""

    reference: Reference
    layout: SideLayout
    counts: NDArray[np.int64]
    extremes: NDArray[np.float64]
    fields: int
    def __init__(self, reference: Reference, version: str = "auto") -> None: ...
    @property
    def nbytes(self) -> int:
        """Memory of all buffers, in bytes."""

def bucket_of(value: float) -> int:
    """Return the sketch's bucket of a value that is not NaN."""

def can_run_wide() -> bool:
    """Return whether this processor runs the AVX2 version of the loops."""
