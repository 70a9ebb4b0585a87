"""Kolmogorov-Smirnov distance on ordered cells.

The largest gap between the two cumulative shares at the borders of the cells; on unbinned data it
could only be larger.
Reference: Smirnov, "Table for estimating the goodness of fit of empirical distributions" (1948).
"""

import numpy as np
from numpy.typing import ArrayLike

from gnomon.core.distances.shares import shares


def kolmogorov_smirnov(expected: ArrayLike, actual: ArrayLike) -> float:
    """Return the distance, 0 to 1, for cells in the order of their values.

    >>> kolmogorov_smirnov([2, 2, 0], [0, 2, 2])
    0.5
    """
    p, q = shares(expected, actual)
    return float(np.abs(np.cumsum(p) - np.cumsum(q)).max(initial=0.0))
