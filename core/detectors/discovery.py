"""Which of many fields or nodes to name, with a bound on the share of wrong names (e-BH).

Meaning: given one e-value each, name the k with the most evidence, k the largest number for which
the k-th largest e-value is at least K/(level·k). Of those named, a share of at most `level` is
wrong on average, however the e-values depend on each other (one reference serves all nodes).

Reference: Wang and Ramdas, "False discovery rate control with e-values" (2022).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def discover(log_evidence: ArrayLike, level: float = 0.05) -> NDArray[np.intp]:
    """Return the indices to name, the most evidence first.

    Args:
        log_evidence: natural logarithm of each e-value.
        level: bound of the mean share of wrong names, in (0, 1).

    >>> discover([9.0, 0.1, 5.0, -2.0], level=0.1).tolist()
    [0, 2]
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, must be in (0, 1)")
    values = np.asarray(log_evidence, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    rank = np.arange(1, len(values) + 1)
    enough = values[order] >= np.log(len(values) / (level * rank)) if len(values) else rank > 0
    many = int(rank[enough].max()) if enough.any() else 0
    return order[:many]
