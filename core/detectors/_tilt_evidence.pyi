"""Shiryaev-Roberts over a set of tilts of cell counts: the loop behind `FieldDetector`."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

class _TiltSet(Protocol):
    @property
    def dense(self) -> NDArray[np.float64]: ...
    @property
    def weight(self) -> NDArray[np.float64]: ...

class TiltEvidence:
    """Evidence of each tilt of one field; not safe for several threads.

    Args:
        tilt_set: the tilts.
        design_effect: how many rows count as one.
        block_rows: rows of the blocks on which it was measured; 0 takes it as it is.
        threshold: natural logarithm of the evidence that raises an alarm.
    """

    evidence: float
    """Natural logarithm of the evidence after the last window."""
    def __init__(
        self, tilt_set: _TiltSet, design_effect: float, block_rows: float, threshold: float
    ) -> None: ...
    def get_state(self) -> NDArray[np.float64]:
        """Return a copy of the state, float64 `(5, tilts)`."""

    def set_state(self, state: NDArray[np.float64], evidence: float) -> None:
        """Replace the state by a copy of `state`."""

    def reset(self) -> None:
        """Set all evidence to zero."""

    def update(self, counts: NDArray[np.int64]) -> int:
        """Take one window's counts by cell; return the winning tilt if it alarms, else -1."""
