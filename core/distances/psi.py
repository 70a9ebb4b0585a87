"""Population stability index.

PSI = Σ (q − p) · ln(q / p) over the cells, p the reference's shares and q the window's: the
symmetric Kullback-Leibler divergence, in nats. Half a row is added to each cell, or an empty cell
would make it infinite. People read under 0.1 as stable and over 0.2 as changed; with few rows it
is large by chance alone, about (cells − 1) · (1/rows + 1/reference rows).
Reference: Siddiqi, "Credit Risk Scorecards" (2006); Yurdakul and Naranjo, "Statistical properties
of the population stability index" (2020).
"""

import numpy as np
from numpy.typing import ArrayLike

from gnomon.core.distances.shares import shares

PSEUDO_COUNT = 0.5


def psi(expected: ArrayLike, actual: ArrayLike) -> float:
    """Return the index, 0 or more.

    >>> round(psi([50, 50], [60, 40]), 4)
    0.0397
    """
    p, q = shares(expected, actual, PSEUDO_COUNT)
    return float(((q - p) * np.log(q / p)).sum())
