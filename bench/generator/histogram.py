"""Histograms of latencies: cells whose width grows with the value, so that they merge exactly."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnomon.bench.generator.loops import CELLS

__all__ = ["RELATIVE_ERROR", "Histogram"]

#: Powers of two are cut into 2**BITS cells, as `histogram_cells.h` does.
BITS = 7
#: The middle of a cell differs from a value in it by at most this share.
RELATIVE_ERROR = 2.0 ** -(BITS + 1)

_CELL = np.arange(CELLS, dtype=np.int64)
_SHIFT = np.maximum((_CELL >> BITS) - 1, 0)
_LOWER = (_CELL - (_SHIFT << BITS)) << _SHIFT
_MIDDLE = _LOWER + ((1 << _SHIFT) - 1) / 2


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of nanoseconds by cell, (CELLS,) of uint64."""

    counts: NDArray[np.uint64]

    @classmethod
    def from_bytes(cls, data: bytes) -> "Histogram":
        """Read the counts of a loop (uint64, in its own memory layout)."""
        return cls(np.frombuffer(data, dtype=np.uint64))

    @classmethod
    def empty(cls) -> "Histogram":
        """Return a histogram of nothing."""
        return cls(np.zeros(CELLS, dtype=np.uint64))

    def __add__(self, other: "Histogram") -> "Histogram":
        """Return the histogram of both."""
        return Histogram(self.counts + other.counts)

    @property
    def total(self) -> int:
        """Return how many values were counted."""
        return int(self.counts.sum())

    def percentile(self, percent: float) -> float:
        """Return ns: the middle of the cell of the smallest value that `percent` do not exceed.

        Of no values it is NaN.
        """
        total = self.total
        if not total:
            return math.nan
        rank = max(1, math.ceil(round(percent / 100 * total, 9)))
        cell = int(np.searchsorted(np.cumsum(self.counts), rank))
        return float(_MIDDLE[cell])

    @property
    def mean(self) -> float:
        """Return the mean in ns, from the cells' middles; NaN of no values."""
        total = self.total
        return float(self.counts @ _MIDDLE / total) if total else math.nan

    @property
    def maximum(self) -> float:
        """Return the middle of the highest cell that is not empty, in ns; NaN of no values."""
        found = np.flatnonzero(self.counts)
        return float(_MIDDLE[found[-1]]) if len(found) else math.nan

    def share_within(self, nanoseconds: float) -> float:
        """Return the share of the values whose cell has its middle at or below a bound."""
        total = self.total
        return float(self.counts[nanoseconds >= _MIDDLE].sum() / total) if total else math.nan
