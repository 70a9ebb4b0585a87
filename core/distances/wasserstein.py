"""Wasserstein distance (earth mover's, first order) on ordered cells.

∫ |F − G| over the values: how far, on average, rows must be moved to turn one table into the
other, in the field's own unit. Each cell's rows are placed at its position.
Reference: Vallender, "Calculation of the Wasserstein distance between probability distributions
on the line" (1974).
"""

import numpy as np
from numpy.typing import ArrayLike

from gnomon.core.distances.shares import shares


def wasserstein(expected: ArrayLike, actual: ArrayLike, positions: ArrayLike) -> float:
    """Return the distance in the unit of `positions`, which must not decrease.

    >>> wasserstein([1, 0], [0, 1], [0.0, 2.5])
    2.5
    """
    p, q = shares(expected, actual)
    places = np.asarray(positions, dtype=np.float64)
    if places.shape != p.shape or (np.diff(places) < 0).any():
        raise ValueError("positions must have one value a cell, and must not decrease")
    return float((np.abs(np.cumsum(p) - np.cumsum(q))[:-1] * np.diff(places)).sum())
