"""Total variation distance.

Half of Σ |p − q|: the share of rows that would have to change their cell, and the largest
difference that any set of cells can show.
Reference: Levin, Peres and Wilmer, "Markov Chains and Mixing Times" (2009), chapter 4.
"""

import numpy as np
from numpy.typing import ArrayLike

from gnomon.core.distances.shares import shares


def total_variation(expected: ArrayLike, actual: ArrayLike) -> float:
    """Return the distance, 0 to 1.

    >>> total_variation([50, 50], [75, 25])
    0.25
    """
    p, q = shares(expected, actual)
    return float(np.abs(p - q).sum() / 2)
