"""Jensen-Shannon distance.

With m = (p + q) / 2, the square root of (KL(p‖m) + KL(q‖m)) / 2 in bits. It is a metric, is
between 0 and 1, and needs no pseudo-counts.
Reference: Lin, "Divergence measures based on the Shannon entropy" (1991); Endres and Schindelin,
"A new metric for probability distributions" (2003).
"""

import numpy as np
from numpy.typing import ArrayLike

from gnomon.core.distances.shares import Shares, shares


def jensen_shannon(expected: ArrayLike, actual: ArrayLike) -> float:
    """Return the distance, 0 to 1.

    >>> jensen_shannon([1, 0], [0, 1])
    1.0
    """
    p, q = shares(expected, actual)
    middle = (p + q) / 2
    return float(np.sqrt(max(_divergence(p, middle) + _divergence(q, middle), 0.0) / 2))


def _divergence(p: Shares, q: Shares) -> float:
    if np.isnan(p).any():
        return float("nan")
    used = p > 0
    return float((p[used] * np.log2(p[used] / q[used])).sum())
