"""Counts to shares."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


def shares(
    expected: ArrayLike, actual: ArrayLike, pseudo_count: float = 0.0
) -> tuple[Shares, Shares]:
    """Return the share of each cell in both tables; NaN if a table is empty.

    Raises `ValueError` for tables of different size and for counts below 0.

    >>> shares([1, 3], [2, 2])
    (array([0.25, 0.75]), array([0.5, 0.5]))
    """
    one, two = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if one.ndim != 1 or one.shape != two.shape:
        raise ValueError(f"tables of shapes {one.shape} and {two.shape} have no common cells")
    if one.size and not (one.min() >= 0 and two.min() >= 0):
        raise ValueError("counts must be 0 or more")
    return _normalise(one, pseudo_count), _normalise(two, pseudo_count)


def _normalise(counts: Shares, pseudo_count: float) -> Shares:
    total = counts.sum()
    if total == 0:
        return np.full(counts.shape, np.nan)
    smoothed = counts + pseudo_count
    result: Shares = smoothed / smoothed.sum()
    return result
